"""Bringing the present base into a pipeline that runs: fetched by the person, merged by the server."""

import time

from cli import definition_repository, render, report, server, typed
from egg_tasks import repository_places
from egg_tasks.client import Client, Json
from egg_tasks.workspace import present_base
from egg_tasks.workspace.git import Git
from models.states import RebaseStatus

PATIENCE = 60.0
ROUND_SECONDS = 0.3
ASKED = 3
UNDER_WAY = frozenset({RebaseStatus.PENDING, RebaseStatus.MERGING})


def rebase(client: Client, name: str, *, output: str) -> int:
    """Have the present base merged into *name*, and say what came of it; the exit code that stands for it."""
    found = client.get(f"/pipelines/{name}")["pipeline"]
    commit = _fetched(found)
    body = {"commit": commit} if commit else {}
    wished = client.post(f"/pipelines/{name}/rebase", body, repeatable=True)["rebase"]
    status = _await(client, name, wished["id"])
    if output:
        render.write_json({"rebase": status["rebase"]})
    return _tell(name, found, status)


def _fetched(found: Json) -> str | None:
    """Fetch the base with all that this person reaches, where the stack is their own; its commit."""
    home = server.own_home()
    if home is None or found.get("work_commit") is None or found.get("ended_at"):
        return None
    place = repository_places.repository(home, str(found["id"]))
    if not place.is_dir():
        return None
    return present_base.fetch(
        Git(place), source=found["repo"], base=found.get("base"), reach=definition_repository.persons_reach()
    )


def _await(client: Client, name: str, number: int) -> Json:
    """The pipeline's status when that rebase is over, or nothing moves it for the time being."""
    deadline = time.monotonic() + PATIENCE
    while True:
        status = client.get(f"/pipelines/{name}/status")
        rebase = status["rebase"]
        is_over = rebase["id"] != number or rebase["status"] not in UNDER_WAY
        if is_over or status["status"] == "paused" or time.monotonic() > deadline:
            return status
        time.sleep(ROUND_SECONDS)


def _way_to_mend(found: Json) -> str:
    return (
        f"To mend it in your repository: `git fetch {found['repository']} {found['work_branch']}`, `git merge"
        f" FETCH_HEAD`, mend the files, `git commit`, then egg pipeline rebase {found['id']}"
    )


def _tell(name: str, found: Json, status: Json) -> int:
    rebase = status["rebase"]
    base = f"{found.get('base') or 'HEAD'}{' at ' + rebase['commit'][:10] if rebase.get('commit') else ''}"
    match rebase["status"]:
        case RebaseStatus.MERGED if rebase["merge_commit"] == found["work_commit"]:
            render.say(f"{name} has {base} already", err=True)
        case RebaseStatus.MERGED:
            told = f"{base} is merged into the work branch of {name}, at {rebase['merge_commit'][:10]}"
            render.say(typed.hint(f"{told}; see it go on: egg watch {name}"), err=True)
            for asked in status["pending_decisions"]:
                render.say(report.question(asked), err=True)
        case RebaseStatus.CONFLICTED:
            for asked in status["pending_decisions"]:
                if asked["kind"] == "rebase":
                    render.say(report.question(asked), err=True)
            render.say(typed.hint(_way_to_mend(found)), err=True)
            return ASKED
        case RebaseStatus.FAILED:
            render.say(f"error: {base} was not merged into {name}: {rebase['why']}", err=True)
            return 1
        case RebaseStatus.CANCELLED:
            why = rebase["why"] or "it was given up"
            render.say(f"error: {base} was not merged into {name}: {why}", err=True)
            return 1
        case _:
            word = f"{base} waits for its turn in {name}, which is {status['status']}; see: egg why {name}"
            render.say(typed.hint(word), err=True)
    return 0
