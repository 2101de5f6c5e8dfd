"""Garbage of requests: Python looks for it seldom, and not among what was there before them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW = 20_000
"""So many new objects are looked at together. What a request leaves behind is freed as it ends, but for rare
circles; to look through all that is loaded, some hundred thousand objects, took a quarter of a send."""


@contextmanager
def seldom_looked_for() -> Iterator[None]:
    """Leave alone what is there now and, until the context ends, look seldom among what is new."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(NEW, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
