"""One thread of a process at a time: what is sent again meanwhile is not made twice at once."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

_UNDER_WAY: set[Hashable] = set()
_LOCK = threading.Lock()


@contextmanager
def alone_at(what: Hashable) -> Iterator[bool]:
    """Whether no other thread of this process is at it; nobody else is until the context ends."""
    with _LOCK:
        is_first = what not in _UNDER_WAY
        _UNDER_WAY.add(what)
    try:
        yield is_first
    finally:
        if is_first:
            with _LOCK:
                _UNDER_WAY.discard(what)
