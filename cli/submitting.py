"""Submitting a definition: its notes are said, its repository is fetched by the person who submits it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from cli import definition_file, render, server, shell, typed, watch_one
from cli.definition_file import Checked
from cli.definition_repository import Far, persons_reach
from egg_tasks.client import Client, Json
from egg_tasks.workspace import incoming, submodules
from egg_tasks.workspace.incoming import Incoming
from models.errors import Unavailable
from models.schemas.fault import Fault, Faulty
from models.schemas.source import is_remote

DOCKER_HOST = "EGG_DOCKER_HOST"


def check(file: Path, *, overrides: Sequence[tuple[str, str]], is_submitted: bool = True) -> Checked:
    """Read and check a definition file, and say its notes. `FaultyFile` with every fault there is.

    A repository at a URL is not looked at if it is fetched here at once, or by a server elsewhere.
    """
    here = Far.FETCHED if is_submitted else Far.ASKED
    far = Far.ELSEWHERE if server.own_home() is None else here
    return noted(definition_file.check(file, overrides=overrides, far=far))


def noted(checked: Checked) -> Checked:
    """The same, once its notes are said."""
    for note in checked.notes:
        render.say(f"note: {note}", err=True)
    return checked


def need_containers(checked: Checked) -> None:
    """Refuse a definition whose agents cannot be put into containers here, before anything is started."""
    wanted = checked.definition.images
    if wanted and (home := server.own_home()) and (url := docker_host(home)):
        from egg_tasks import local_engine

        local_engine.refuse(wanted, url=url)


def docker_host(home: Path) -> str | None:
    """Where the stack of *home* finds its container engine; None if it has another than is said here.

    Then it alone knows, and is asked by submitting.
    """
    from egg_tasks.settings_table import said
    from egg_tasks.stack import frozen, lifecycle

    environ = lifecycle.surroundings(home, shell.environ())
    running = lifecycle.find(home)
    is_other = running and DOCKER_HOST in frozen.differing(frozen.taken(running), frozen.of(home, environ))
    return None if is_other else said(environ, DOCKER_HOST)


def create(
    client: Client, checked: Checked, *, rerun_of: str | None = None, is_typed: bool | None = None
) -> Json:
    """Store a definition as a new pipeline; as the server tells of it.

    A name that is *typed* is taken or refused; one that the file has gets a number where it is taken.
    Where the stack is this user's own, its repository is fetched first, here, with all that this user's
    git can reach. The server's own workers find it there; a server elsewhere fetches it itself.
    """
    home, name = server.own_home(), checked.document.get("name")
    if is_typed is None:
        is_typed = any(key == "name" for key, _ in checked.overrides)
    submission = {**checked.document, **_lineage(checked), "numbered": not is_typed, "rerun_of": rerun_of}
    if home is None:
        return _post(client, submission, name)
    if is_typed:
        incoming.refuse_taken(home, str(name))
    with ExitStack() as stack:
        found = _fetched(stack, home, checked)
        for lacking in submodules.missing(found.directory):
            render.say(f"note: {lacking}", err=True)
        pipeline = _post(client, {**submission, "base_commit": found.commit}, name)
        # Only now is its name known, and to be ours.
        found.keep(str(pipeline["id"]))
    return pipeline


def start(
    client: Client, created: Json, *, detach: bool, wait: bool, timeout: float | None, output: str
) -> int:
    """Start a pipeline that was created and show it until it ends; the exit code that stands for that."""
    name = str(created["id"])
    started = client.post(f"/pipelines/{name}/start", repeatable=True)
    if not detach:
        return watch_one.follow(client, name, stop_for_person=wait, timeout=timeout, output=output)
    render.answer(started, name, output=output)
    render.say(typed.hint(f"{name} runs; see it with: egg watch {name}"), err=True)
    return 0


def _lineage(checked: Checked) -> Json:
    """Where a definition comes from, so that it can be read again."""
    file = str(checked.file) if checked.file else None
    is_plain = file is not None and file.isprintable()
    return {
        "file": file if is_plain else None,
        "overrides": [f"{key}={value}" for key, value in kept(checked)],
    }


def kept(checked: Checked) -> Iterator[tuple[str, str]]:
    """What was set over a file, as it may be stored: a repository without a password, no commit."""
    for key, value in checked.overrides:
        if key != "base_commit":
            yield key, json.dumps(checked.document["repo"]) if key == "repo" else value


def _fetched(stack: ExitStack, home: Path, checked: Checked) -> Incoming:
    document = checked.document
    if is_remote(checked.source):
        render.say(f"fetching {document['repo']}", err=True)
    base = document.get("base_commit") or document.get("base")
    try:
        return stack.enter_context(
            incoming.fetched(
                home, source=checked.source, base=str(base) if base else None, reach=persons_reach()
            )
        )
    except Faulty as error:
        raise checked.refused(error.faults) from error
    except Unavailable as error:
        if error.details.get("at") != "repo":
            raise
        raise checked.refused([Fault(("repo",), error.message)]) from error


def _post(client: Client, submission: Json, name: object) -> Json:
    """Submit it, once however often that has to be tried."""
    created: Json = client.post("/pipelines", {**submission, "client_key": uuid4().hex})["pipeline"]
    if name and not submission["rerun_of"] and created["id"] != name:
        render.say(f"note: there is a pipeline {name} already; this one is {created['id']}", err=True)
    return created
