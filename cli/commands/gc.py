"""egg gc: what takes the space of a home on the disk, and the end of what nobody needs."""

from collections.abc import Iterator, Sequence

import click

from cli import confirming, options, render, server, typed
from egg_tasks.client import Client, Json
from models.errors import NotFound
from models.foreign import page
from models.sizes import in_words

SECONDS = 300.0
"""So long a large disk may take to be looked at."""
MOST = 20


@click.command()
@click.option("--yes", is_flag=True, help="Remove it; without it everything is only listed.")
@click.option("--kept", metavar="RUN", help="Remove what is kept of this run, which is in no branch.")
@click.option("--repository", metavar="NAME", help="Remove this repository, whose pipeline is gone.")
@options.output
def gc(*, yes: bool, kept: str | None, repository: str | None, output: str) -> None:
    """List what nobody needs on the disk any more, and remove it with --yes.

    What is in no branch is never among it, and no branch. A pipeline goes with `egg pipeline delete`, what
    could not be saved of a run with --kept RUN (its id, or the beginning of it), each after it was listed.

    Example:  egg gc --yes
    """
    if kept and repository:
        raise click.UsageError("--kept and --repository go one at a time")
    client = server.operator()
    found = client.request("GET", "/disk", repeatable=True, seconds=SECONDS)
    if kept:
        _remove_kept(client, _one(found["kept"], "run", kept), yes=yes, output=output)
    elif repository:
        one = _one(found["repositories"], "name", repository, exactly=True)
        _remove_repository(client, one, yes=yes, output=output)
    elif yes:
        _collect(client, output)
    elif output:
        render.write_json(found)
    else:
        render.say(page(list(_listed(found))))


def _collect(client: Client, output: str) -> None:
    done = client.post("/disk/collect", repeatable=True, seconds=SECONDS)
    if output:
        render.write_json(done)
        return
    lines = _some([_of_item(item) for item in done["items"]])
    end = f"{in_words(done['freed'])} freed" if done["items"] else "there was nothing to remove"
    render.say(page([*lines, end]))


def _remove_kept(client: Client, one: Json, *, yes: bool, output: str) -> None:
    if not output:
        render.say(page(_of_kept(one)), err=True)
        render.say("It is in no branch: when it is removed, it is gone.", err=True)
    confirming.confirm("Remove it?", yes=yes, command=f"{typed.egg()} gc --kept {one['run']}")
    _done(client.post(f"/disk/kept/{one['run']}/remove", seconds=SECONDS), output)


def _remove_repository(client: Client, one: Json, *, yes: bool, output: str) -> None:
    if not one["has_pipeline"]:
        text = f"{one['path']} ({in_words(one['size'])}) may hold branches that are nowhere else;"
        render.say(f"{text} look: git --git-dir {one['path']} branch -v", err=True)
        command = f"{typed.egg()} gc --repository {one['name']}"
        confirming.confirm("Remove it?", yes=yes, command=command)
    _done(client.post(f"/disk/repositories/{one['name']}/remove", seconds=SECONDS), output)


def _done(answer: Json, output: str) -> None:
    render.answer(answer, f"{answer['removed']} is removed", output=output)


def _one(found: Sequence[Json], field: str, name: str, *, exactly: bool = False) -> Json:
    """The one meant by a name or, where that is allowed, its beginning."""
    fit = [one for one in found if one[field] == name or (not exactly and str(one[field]).startswith(name))]
    if len(fit) == 1:
        return fit[0]
    if fit:
        raise NotFound(f"{name} may be any of {', '.join(str(one[field]) for one in fit)}: say more of it")
    there = ", ".join(str(one[field]) for one in found) or "nothing"
    raise NotFound(f"there is no {name}; there is {there}")


def _listed(found: Json) -> Iterator[str]:
    egg = typed.egg()
    yield f"{found['home']} takes {in_words(sum(found['space'].values()))}:"
    for kind, size in sorted(found["space"].items(), key=lambda pair: -pair[1]):
        yield f"  {in_words(size):>8}  {kind}"
    if found["items"]:
        yield f"`{egg} gc --yes` frees {in_words(found['frees'])}:"
        yield from _some([_of_item(item, found["home"]) for item in found["items"]])
    else:
        yield "Nothing is left over that nobody needs."
    if found["kept"]:
        yield f"Kept, since it is in no branch; `{egg} gc --kept RUN` removes it:"
        for one in found["kept"]:
            yield from _of_kept(one, found["home"])
    if found["repositories"]:
        yield f"Repositories, which stay; `{egg} pipeline delete PIPELINE` removes them:"
        yield from _some([_of_repository(one) for one in found["repositories"]])


def _some(lines: Sequence[str]) -> Iterator[str]:
    """Not more than a screen or two; the rest is counted."""
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"  and {len(lines) - MOST} more; all of them: {typed.egg()} gc --json"


def _of_item(item: Json, home: str = "") -> str:
    """One line; below *home*, which was named, the rest of the path is enough."""
    place = item["path"].removeprefix(f"{home}/") if home else item["path"]
    return f"  {in_words(item['size']):>8}  {place}: {item['why']}"


def _of_kept(one: Json, home: str = "") -> list[str]:
    of = f" of {one['pipeline']}" if one["pipeline"] else ""
    place = one["path"].removeprefix(f"{home}/") if home else one["path"]
    about = f"  {in_words(one['size']):>8}  {place}: {one['label']}{of} left"
    return [about, *_some([f"            {path}" for path in one["holds"]])]


def _of_repository(one: Json) -> str:
    gone = "" if one["has_pipeline"] else f" (its pipeline is gone: gc --repository {one['name']})"
    return f"  {in_words(one['size']):>8}  {one['name']}{gone}"
