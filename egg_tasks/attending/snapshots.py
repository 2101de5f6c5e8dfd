"""Snapshots of live runs: one thread of a worker process takes them in turn, when nobody waits for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog

from egg_tasks.ports import Runner, Workspace
from models.errors import EggError
from models.tables import AgentRun

log = structlog.get_logger()

SHARE = 20
"""A run is looked at no more than one part in so many of the time: one that takes long is looked at less."""
FIRST = 12
"""The first look comes after one part in so many of the pause: whoever attended before may have been late."""
NAP = 0.5
"""Seconds, at most, until a run that is new here is seen."""


@dataclass
class _Held:
    """A run that is attended here."""

    run_id: UUID
    pipeline_id: str
    role: str
    clone: Path
    runner: Runner
    due: float
    """On the monotonic clock."""
    mark: str = ""


class Snapshots:
    """All snapshots of a process. To be used by any thread; none ever waits for a look."""

    def __init__(self, workspace: Workspace, *, every: timedelta) -> None:
        self._workspace = workspace
        self._every = every.total_seconds()
        self._lock = threading.Lock()
        self._held: dict[UUID, _Held] = {}
        self._taking: threading.Thread | None = None

    @contextmanager
    def hold(self, run: AgentRun, runner: Runner) -> Iterator[None]:
        """Have what a role's run has not committed kept while the context lasts; *runner* runs it."""
        if not self._every or run.role is None:
            yield
            return
        due = time.monotonic() + self._every / FIRST
        held = _Held(run.id, run.pipeline_id, run.role, self._workspace.clone_of(run.id), runner, due)
        with self._lock:
            self._held[run.id] = held
            if self._taking is None or not self._taking.is_alive():
                self._taking = threading.Thread(target=self._take_for_ever, daemon=True, name="snapshots")
                self._taking.start()
        try:
            yield
        finally:
            self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        with self._lock:
            if self._held.get(held.run_id) is held:
                del self._held[held.run_id]

    def _take_for_ever(self) -> None:
        while True:
            with self._lock:
                if not self._held:
                    self._taking = None
                    return
                first = min(self._held.values(), key=lambda each: each.due)
            left = first.due - time.monotonic()
            if left > 0:
                time.sleep(min(left, NAP))
                continue
            began = time.monotonic()
            self._take(first)
            first.due = began + max(self._every, SHARE * (time.monotonic() - began))

    def _take(self, held: _Held) -> None:
        """Keep what a run holds, if it can be seen; the next look comes all the same."""
        try:
            with held.runner.still(held.run_id):
                mark = self._workspace.snapshot(
                    held.pipeline_id, role=held.role, run_id=held.run_id, clone=held.clone, known=held.mark
                )
            if mark is None:
                log.warning("snapshot.no_more", run=str(held.run_id), why="they have brought all they may")
                self._let_go(held)
            else:
                held.mark = mark
        except EggError as error:
            log.info("snapshot.not_taken", run=str(held.run_id), error=error.message)
        except Exception:
            # Neither what an agent has made nor a fault of ours may end what others' work is kept by.
            log.exception("snapshot.failed", run=str(held.run_id))
