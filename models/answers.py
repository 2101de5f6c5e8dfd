"""How a decision is answered, and a log read, as it is typed."""

import shlex
from collections.abc import Sequence

UNSAFE = frozenset('"$`\\!\n')
"""What a shell would understand within double quotes."""


def command(number: int, words: str, *, program: str = "egg") -> str:
    """The line that gives *words* as the answer; safe to paste, whoever wrote the words."""
    given = shlex.quote(words) if UNSAFE & set(words) else f'"{words}"'
    return f"{program} decision resolve {number} --resolution {given}"


def logs_command(pipeline: str, run: str, *, program: str = "egg") -> str:
    """The line that shows all that a run wrote; *run* may be named by the beginning of its id."""
    return f"{program} agent logs {pipeline} {run[:8]}"


def usual(number: int, *, default: str | None, options: Sequence[str]) -> str:
    """The line that gives the default, else the first option, else leaves room for words."""
    return command(number, default or (options[0] if options else "…"))
