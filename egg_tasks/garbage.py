"""Garbage of requests and tasks: Python looks for it seldom, and not among what a process began with."""

import gc

NEW = 20_000
"""So many new objects are looked at together. What a request or a task leaves behind is freed as it ends, but
for rare circles; to look through all that is loaded, some 100,000 objects, took a quarter of a send."""
USUAL = gc.get_threshold()


def look_seldom() -> None:
    """Leave alone what is there now, and look seldom among what is new: a process is ready to serve."""
    gc.freeze()
    gc.set_threshold(NEW, *USUAL[1:])


def look_as_usual() -> None:
    """Look as Python does unless it is told otherwise, for a process that goes on to something else."""
    gc.set_threshold(*USUAL)
    gc.unfreeze()
