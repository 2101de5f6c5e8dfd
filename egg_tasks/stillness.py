"""Whether an agent whose clone is looked at stands still: asked once more before anything read is kept.

What is set here holds for all that the same thread does before the look is over, whichever module does it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CURRENT: ContextVar[Callable[[], None] | None] = ContextVar("stillness", default=None)


@contextmanager
def watched(check: Callable[[], None]) -> Iterator[None]:
    """Have *check* asked inside, which raises `Unavailable` when something may have moved."""
    token = CURRENT.set(check)
    try:
        yield
    finally:
        CURRENT.reset(token)


def need() -> None:
    """Raise `Unavailable` unless all has stood still since the look began; nothing where nobody watches."""
    check = CURRENT.get()
    if check is not None:
        check()
