"""How a decision is answered, and a log read, as it is typed."""

import shlex
from collections.abc import Sequence

from models.consensus.step import RETRY, RETRY_PHASE

RETRY_IS = "Retry keeps the base as it was. After a mend, committed in your repository:"
AGAIN = frozenset({RETRY, RETRY_PHASE})
UNSAFE = frozenset('"$`\\!\n')
"""What a shell would understand within double quotes."""


def command(number: int, words: str, *, program: str = "egg") -> str:
    """The line that gives *words* as the answer; safe to paste, whoever wrote the words."""
    given = shlex.quote(words) if UNSAFE & set(words) else f'"{words}"'
    # What begins like an option of ours is one to the shell's reader.
    option = "--resolution " if words.startswith("-") else ""
    return f"{program} decision resolve {number} {option}{given}"


def logs_command(pipeline: str, run: str, *, is_set_up: bool = False) -> str:
    """The line that shows all that a run, or its set-up, wrote; by the beginning of the run's id."""
    return f"egg agent logs {pipeline} {run[:8]}" + (" --setup" if is_set_up else "")


def after_a_mend(pipeline: str, options: Sequence[str]) -> str | None:
    """What Retry does not do, and the two commands that do; None where Retry is no answer."""
    if not AGAIN.intersection(options):
        return None
    ways = (f"`{command}` {does}" for command, does in mends(pipeline))
    return f"{RETRY_IS} {', '.join(ways)}."


def mends(pipeline: str) -> Sequence[tuple[str, str]]:
    """The commands that bring a mend in, each with what it does."""
    return (
        (f"egg pipeline rebase {pipeline}", "brings it in here"),
        (f"egg pipeline rerun {pipeline}", "starts anew from it"),
    )


def usual(number: int, *, options: Sequence[str], program: str = "egg") -> str:
    """The line that gives the first option, which goes on where there is a way, else leaves room for words.

    The default is what happens to who is away, and may be the end of it all: nobody is led to it.
    """
    return command(number, options[0] if options else "…", program=program)
