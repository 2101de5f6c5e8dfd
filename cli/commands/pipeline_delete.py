"""egg pipeline delete: a pipeline goes, with all that is its own."""

import time

import click

from cli import confirming, options, render, server, typed
from egg_tasks.client import Client, Json
from models.errors import Conflict, NotFound
from models.foreign import Shown, page

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.3


@click.command()
@options.pipeline_argument
@click.option("--yes", is_flag=True, help="Do it; without it you are asked, or only told what would go.")
@options.output
def delete(*, pipeline: str, yes: bool, output: str) -> None:
    """Delete a pipeline that does not run. With it go its repository, logs and all that is stored of it.

    First its branches are listed that are not in your repository: they are lost with it. Nothing in your
    repository is touched. Afterwards its name is free again.

    Example:  egg pipeline delete rate-limit
    """
    client = server.operator()
    found = client.get(f"/pipelines/{pipeline}/branches")
    if found["refused"]:
        raise Conflict(found["refused"])
    if not output:
        render.say(_listed(pipeline, found), err=True)
    elif not yes:
        render.write_json(found)
    command = f"{typed.egg()} pipeline delete {pipeline}"
    confirming.confirm(f"Delete {pipeline}?", yes=yes, command=command)
    _order(client, pipeline)
    _await_end(client, pipeline)
    render.answer({"deleted": pipeline, **found}, f"{pipeline} is deleted", output=output)


def _listed(pipeline: str, found: Json) -> Shown:
    lost = [branch for branch in found["branches"] if not branch["is_elsewhere"]]
    safe = len(found["branches"]) - len(lost)
    lines = (
        [f"{found['why']}; so what is not known to be there counts as being nowhere else."]
        if found["why"]
        else []
    )
    if lost:
        lines.append(f"With {pipeline} go these branches, which are not in your repository:")
        lines += [f"  {each['name']}  {each['commit'][:10]}  {each['subject']}" for each in lost]
        lines.append(f"To keep one: git fetch {_repository(found)} BRANCH:BRANCH")
    if safe:
        what = "One branch" if safe == 1 else f"{safe} branches"
        lines.append(
            f"{what} of it {'is' if safe == 1 else 'are'} in your repository too, and will stay there."
        )
    if not found["branches"]:
        lines.append(f"{pipeline} has no branch.")
    return page(lines)


def _repository(found: Json) -> str:
    return str(found.get("repository") or "REPOSITORY")


def _order(client: Client, pipeline: str) -> None:
    """Have it deleted; one whose agents are just being stopped is waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            client.post(f"/pipelines/{pipeline}/delete")
        except Conflict as error:
            if not error.details.get("unclosed") or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _await_end(client: Client, pipeline: str) -> None:
    """Wait until its name is free, which takes a moment; if it takes longer it happens by itself."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            client.get(f"/pipelines/{pipeline}")
        except NotFound as error:
            if not error.details.get("is_going"):
                return
        else:
            # Somebody has taken the name already.
            return
        time.sleep(PAUSE_SECONDS)
    render.say(f"{pipeline} is still being removed; that goes on by itself", err=True)
