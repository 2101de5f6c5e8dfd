"""Running a pipeline again: its file as it is now, over the present base of its repository."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cli import definition_file, event_stream, options, render, server, submitting, typed
from cli.definition_file import Checked
from cli.definition_repository import Far
from egg_tasks.client import Json
from models.errors import Unprocessable

Overrides = Sequence[tuple[str, str]]

PINNED = ("base_commit", "name")


def check(first: Json, *, file: Path | None, as_stored: bool, overrides: Overrides) -> Checked:
    """Read what a pipeline was made from anew, with what was set over it then, and *overrides* over that.

    `Unprocessable` when its file is not there or not known; `FaultyFile` as for any file.
    """
    before = [options.setting(text) for text in first.get("overrides") or []]
    if as_stored:
        file = file or (Path(first["file"]) if first.get("file") else None)
        return replace(_stored(first, overrides), file=file, overrides=[*before, *overrides])
    return submitting.check(file or _file_of(first), overrides=[*before, *overrides])


def tell(first: Json, again: Json) -> None:
    """Say from where a rerun starts, and when that is where the first one started."""
    if first["status"] not in event_stream.ENDED and first["status"] != "pending":
        word = (
            f"note: {first['id']} is still {first['status']}; end it with: egg pipeline cancel {first['id']}"
        )
        render.say(typed.hint(word), err=True)
    began, begins = first.get("base_commit"), again.get("base_commit")
    base = again.get("base") or "HEAD"
    text = f"{again['id']} runs {first['id']} again"
    if begins:
        text += f", from {base} at {begins[:10]}"
    if began and begins:
        text += " still: nothing was committed since" if began == begins else f" ({began[:10]} before)"
    render.say(text, err=True)


def _stored(first: Json, overrides: Overrides) -> Checked:
    """The definition as the server has it; which commit its base stands for is found anew."""
    kept = {key: value for key, value in first["definition"].items() if key not in PINNED}
    name = first["definition"].get("name")
    document = {**kept, "name": name} if name else kept
    far = Far.ELSEWHERE if server.own_home() is None else Far.FETCHED
    called = f"the stored definition of {first['id']}"
    return submitting.noted(definition_file.check_stored(document, name=called, overrides=overrides, far=far))


def _file_of(first: Json) -> Path:
    name = first["id"]
    ways = typed.hint(
        f"name it with --file FILE, or take what was stored: egg pipeline rerun {name} --as-stored"
    )
    if not first.get("file"):
        raise Unprocessable(
            f"the file that {name} was made from is not known (it may have been none): {ways}"
        )
    file = Path(first["file"])
    if not file.is_file():
        raise Unprocessable(f"{file}, which {name} was made from, is not here any more: {ways}")
    return file
