"""Submitting a definition: its notes are said, its repository is fetched by the person who submits it."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from cli import definition_file, render, server
from cli.definition_file import Checked
from cli.definition_repository import Far, persons_reach
from egg_tasks.client import Client, Json
from egg_tasks.workspace import incoming, submodules
from egg_tasks.workspace.incoming import Incoming
from models.errors import Unavailable
from models.schemas.fault import Fault, Faulty
from models.schemas.source import is_remote


def check(file: Path, *, overrides: Sequence[tuple[str, str]], is_submitted: bool = True) -> Checked:
    """Read and check a definition file, and say its notes. `FaultyFile` with every fault there is.

    A repository at a URL is not looked at if it is fetched here at once, or by a server elsewhere.
    """
    here = Far.FETCHED if is_submitted else Far.ASKED
    far = Far.ELSEWHERE if server.own_home() is None else here
    checked = definition_file.check(file, overrides=overrides, far=far)
    for note in checked.notes:
        render.say(f"note: {note}", err=True)
    return checked


def create(client: Client, checked: Checked) -> Json:
    """Store a definition as a new pipeline; as the server tells of it.

    Where the stack is this user's own, its repository is fetched first, here, with all that this user's
    git can reach. The server's own workers find it there; a server elsewhere fetches it itself.
    """
    home, document = server.own_home(), dict(checked.document)
    if home is None:
        return _post(client, document)
    name = str(document.get("name") or f"local-{uuid4().hex[:8]}")
    incoming.refuse_taken(home, name)
    with ExitStack() as stack:
        found = _fetched(stack, home, checked)
        for lacking in submodules.missing(found.directory):
            render.say(f"note: {lacking}", err=True)
        pipeline = _post(client, {**document, "name": name, "base_commit": found.commit})
        # Only now is the name known to be ours.
        found.keep(name)
    return pipeline


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


def _post(client: Client, document: Json) -> Json:
    created: Json = client.post("/pipelines", document)["pipeline"]
    return created
