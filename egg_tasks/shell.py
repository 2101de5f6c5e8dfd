"""The environment of the shell in which a stack was started, for what definitions take from it at launch.

Our own processes are not given it (`stack.commands`): it goes from `egg up` to the supervisor and on to the
worker that launches agents in memory alone, as a standard input that is read once. So no process of ours,
whose environment others of the same user could read, holds a person's keys in it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from models.errors import NotSet
from models.schemas.variables import OURS

NAME = "egg-shell"
STDIN = 0
SECRETIVE = ("URL", "TOKEN", "SECRET")
WHERE = (
    "the worker that launches it: set it in the shell in which `egg up` is typed (`egg down`, then "
    "`egg up`), and retry"
)


@contextmanager
def handed_on(variables: Mapping[str, str]) -> Iterator[int]:
    """Lend a file in memory that holds *variables* but for our own, to be a process's standard input."""
    theirs = {name: value for name, value in variables.items() if not OURS.fullmatch(name)}
    descriptor = os.memfd_create(NAME)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(json.dumps(theirs).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@cache
def variables() -> Mapping[str, str]:
    """What was handed on to this process, which then no longer has it as a file; else its own environment."""
    if not _is_handed_on():
        return dict(os.environ)
    with os.fdopen(os.dup(STDIN), "rb") as file:
        found: dict[str, str] = json.load(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, STDIN)
    os.close(nothing)
    return found


def value(name: str) -> str:
    """The value of a variable that a definition takes from here; `NotSet`, without it, if it gets none."""
    found = variables().get(name, "")
    if not found:
        how = "empty" if name in variables() else "not set"
        raise NotSet(f"{name} is {how} in the environment of {WHERE}")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise NotSet(f"{name} is not UTF-8 text in the environment of {WHERE}") from None
    refuse_ours(name, found)
    return found


def refuse_ours(name: str, value: str) -> None:
    """Refuse, as `NotSet`, what an agent is to be given if it is our own, whatever it is called there."""
    if OURS.fullmatch(name) or value in _ours():
        raise NotSet(
            f"{name} holds a secret of the orchestrator's own, which no agent gets: take another one"
        )


def is_place(value: str) -> bool:
    """Whether a value is a file or directory of this machine, and so no secret: a HOME, a socket."""
    return value.startswith("/") and os.path.exists(value)  # noqa: PTH110 - any text at all


def _ours() -> frozenset[str]:
    """Our own secrets: whatever they are called elsewhere, no agent gets them."""
    names = [
        name
        for name in os.environ
        if name.startswith("EGG_") and any(part in name for part in SECRETIVE) and not name.endswith("_DIR")
    ]
    return frozenset(os.environ[name] for name in names)


def _is_handed_on() -> bool:
    try:
        return Path(f"/proc/self/fd/{STDIN}").readlink().name.startswith(f"memfd:{NAME}")
    except OSError:
        return False
