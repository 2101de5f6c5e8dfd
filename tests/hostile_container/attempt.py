"""The list: each attempt with its program, the wall that holds it, and what is expected elsewhere.

Programs run in the image's own Python, so what they import is the standard library and this.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

HOLDS, SHARED, MACHINES = "holds", "shared", "machine"
"""In `process` isolation: it holds as well; an agent is our own user; it has our machine (not tried)."""

Facts = Mapping[str, str]
"""What an agent might have guessed of its machine: addresses, paths, names. Baits of the tests' own, all."""


class Refused(Exception):
    """An attempt that came to nothing; the text says how."""


@dataclass(frozen=True)
class Attempt:
    """One thing a hostile agent does."""

    name: str
    title: str
    wall: str
    """What holds it, by its name in `walls`."""
    process: str
    program: Callable[[Facts], str] | None
    """Returns what it has got; what it raises is how it was refused. None where the test itself must look."""


ATTEMPTS: dict[str, Attempt] = {}


def attempt(
    title: str, *, wall: str, process: str
) -> Callable[[Callable[[Facts], str]], Callable[[Facts], str]]:
    """Put a program on the list, under its own name."""

    def listed(program: Callable[[Facts], str]) -> Callable[[Facts], str]:
        ATTEMPTS[program.__name__] = Attempt(program.__name__, title, wall, process, program)
        return program

    return listed


def looked_at(name: str, title: str, *, wall: str, process: str) -> None:
    """Put on the list what is seen from outside alone."""
    ATTEMPTS[name] = Attempt(name, title, wall, process, None)
