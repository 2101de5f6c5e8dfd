"""How much a look at something of an agent's may cost: time for all of it together, memory for each git.

What is set here holds for every git that the same thread starts before the look is over, whichever module
starts it: an agent chooses what its git objects cost, and nobody else shall pay.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from models.errors import TookTooLong

USUAL = timedelta(seconds=120)
"""What one git may take of which nobody says how long it may; the whole of a look may be given more."""
MOST_MEMORY = 1024**3
"""Bytes of its own that one git may have; files it maps do not count."""
LARGEST_WRITTEN = 16 * 1024**3
"""Bytes of one file that git may write."""
SETTINGS = (
    ("core.bigFileThreshold", "64m"),
    ("core.deltaBaseCacheLimit", "32m"),
    ("core.packedGitWindowSize", "32m"),
    ("core.packedGitLimit", "1g"),
    ("pack.windowMemory", "64m"),
    ("pack.deltaCacheSize", "32m"),
    ("pack.threads", "2"),
    ("pack.compression", "1"),
)


@dataclass(frozen=True)
class Bounds:
    """What is left of a look."""

    limit: timedelta
    deadline: float
    """On the monotonic clock."""


CURRENT: ContextVar[Bounds | None] = ContextVar("bounds", default=None)


@contextmanager
def within(limit: timedelta) -> Iterator[None]:
    """Bound all that is done inside; what was bounded more narrowly stays so."""
    outer, ours = CURRENT.get(), Bounds(limit, time.monotonic() + limit.total_seconds())
    token = CURRENT.set(outer if outer and outer.deadline < ours.deadline else ours)
    try:
        yield
    finally:
        CURRENT.reset(token)


def seconds_left(timeout: timedelta, what: str) -> float:
    """How long something may take that itself has *timeout*, or the usual and so all that is left of a look.

    `TookTooLong` when there is no time left.
    """
    bounds = CURRENT.get()
    if bounds is None:
        return timeout.total_seconds()
    left = bounds.deadline - time.monotonic()
    if left <= 0:
        raise TookTooLong(f"{what} took longer than {bounds.limit.total_seconds():g} s with what was before")
    return left if timeout == USUAL else min(left, timeout.total_seconds())


def settings() -> tuple[tuple[str, str], ...]:
    """What git is to be told of its bounds."""
    return SETTINGS if CURRENT.get() else ()


def confine(pid: int) -> None:
    """Bound a process that was just started, where the system can; what it starts is bounded with it."""
    if CURRENT.get() is None or not hasattr(resource, "prlimit"):
        return
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST_WRITTEN, LARGEST_WRITTEN))
