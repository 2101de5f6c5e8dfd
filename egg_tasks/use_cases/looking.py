"""Who may look at a clone now: one look at a run's at a time, and a few in this process.

Whose clone it is stands still meanwhile, where it is a container's.

A look is as slow as an agent makes its clone, and each holds one of the threads that answer everybody.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from egg_tasks.adapters import runner
from egg_tasks.database import single_statements
from models.errors import TooMany
from models.queries import agent_runs

AT_ONCE = 6
"""Looks in this process; git does the work, so that more would only be slower."""
WAITING = 12
"""So many more may wait for one of those, each in a thread of its own."""
PATIENCE_SECONDS = 10
RETRY_SECONDS = 2


class Looks:
    """The looks that are under way. To be used by any thread."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._inside = threading.BoundedSemaphore(at_once + waiting)
        self._lock = threading.Lock()
        self._runs: set[UUID] = set()

    @contextmanager
    def of(self, run_id: UUID) -> Iterator[None]:
        """Look at the clone of a run inside; `TooMany`, with the seconds to wait, when it is not its turn."""
        with self._alone(run_id):
            if not self._inside.acquire(blocking=False):
                raise _busy("the server looks at many clones")
            try:
                if not self._free.acquire(timeout=PATIENCE_SECONDS):
                    raise _busy("the server looks at other clones")
                try:
                    yield
                finally:
                    self._free.release()
            finally:
                self._inside.release()

    @contextmanager
    def _alone(self, run_id: UUID) -> Iterator[None]:
        with self._lock:
            if run_id in self._runs:
                raise _busy("your clone is being looked at")
            self._runs.add(run_id)
        try:
            yield
        finally:
            with self._lock:
                self._runs.remove(run_id)


def _busy(why: str) -> TooMany:
    return TooMany(f"{why} now: say it again in {RETRY_SECONDS} s", {"retry_after": RETRY_SECONDS})


@contextmanager
def at_clone(run_id: UUID) -> Iterator[None]:
    """Look at the clone of a live run inside; `Unavailable` when it cannot be had stand still now."""
    with single_statements() as session:
        isolation = agent_runs.get_isolation(session, run_id=run_id)
    with runner(isolation).still(run_id):
        yield


LOOKS = Looks()
"""Those of this process."""
