"""What a person is told to type, written so that it works where they stand."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cli import shell
from models.foreign import flat

COMMAND = re.compile(r"(?<![^\s`'\"(])egg(?= [a-z][a-z-]*)")
"""The word `egg` where a command of ours may follow."""
OURS = frozenset({"why", "logs", "how_to_answer", "note", "message", "held_up"})
"""What of an answer holds sentences of ours, in which commands are ours."""


def hint(text: str, *, others: object = ()) -> str:
    """The text with each of our commands in it, `egg up`, as it works here: `.venv/bin/egg up`.

    What *others* say (an answer of the server with words of agents in it, say) stays as it was said: every
    text in there that names a command is looked for.
    """
    from cli.main import SECTIONS

    commands = {name for section in SECTIONS.values() for name in section}

    def typed(found: re.Match[str]) -> str:
        return (
            egg()
            if found.string[found.end() :].split(maxsplit=1)[0].strip("`'\",;:.)") in commands
            else "egg"
        )

    theirs = sorted({flat(said) for said in _said(others) if COMMAND.search(said)}, key=len, reverse=True)
    if not theirs:
        return COMMAND.sub(typed, text)
    parts = re.split(f"({'|'.join(map(re.escape, theirs))})", text)
    # A pattern with one group gives what lies between first, then what it found, in turn.
    return "".join(part if at % 2 else COMMAND.sub(typed, part) for at, part in enumerate(parts))


def _said(found: object) -> Iterator[str]:
    """Every text in something that JSON may hold, but those that are commands of ours by their key."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, Mapping):
        for key, value in found.items():
            if key not in OURS:
                yield from _said(value)
    elif isinstance(found, Sequence):
        for value in found:
            yield from _said(value)


def egg() -> str:
    """How this program is called from here: `egg` where that is this one, else by the shortest path."""
    own = _own()
    found = shutil.which("egg")
    # An agent is given an `egg` of its own on its PATH, which need not be this file.
    if own is None or shell.is_agents() or (found and Path(found).samefile(own)):
        return "egg"
    return path(own)


def path(target: Path) -> str:
    """An absolute path as it is shortest from here, ready to paste."""
    try:
        near = os.path.relpath(target)
    except OSError:  # the current directory is gone
        return shlex.quote(str(target))
    if os.sep not in near and not target.is_dir():
        near = f".{os.sep}{near}"
    return shlex.quote(min(near, str(target), key=len))


def _own() -> Path | None:
    """The file of the command `egg` that runs, or that belongs to the Python that runs; None without one."""
    program = Path(sys.argv[0])
    beside = program if program.name in {"egg", "egg-orch"} else Path(sys.executable)
    try:
        own = beside.absolute().with_name("egg")
    except OSError:
        return None
    return own if own.is_file() else None
