"""Backend `command`: an agent that is any program, given as its argument list."""

from collections.abc import Sequence
from pathlib import Path


def argv(command: Sequence[str], *, clone: Path) -> tuple[str, ...]:
    """Return what to execute: a relative program with a slash is one of the clone's, any other is on PATH.

    How it ended is all in its exit code; nothing of its output is understood.
    """
    program, *arguments = command
    return (str(clone / program) if "/" in program else program, *arguments)
