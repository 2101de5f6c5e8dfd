"""What live runs take of the disk: one thread of each counts it, and stops who takes too much."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import structlog

from egg_tasks import disk
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.ports import Runner
from egg_tasks.run_places import set_up_of
from egg_tasks.services.agents import agent_stops
from models.errors import EggError
from models.schemas.disk_use import DiskUse

log = structlog.get_logger()

EVERY = 10.0
"""Seconds between two counts of a run, unless the disk loses as much as the run has left."""
SHARE = 20
"""A run is counted no more than one part in so many of the time."""
URGENT_SHARE = 3
"""The same where the disk gets full so fast that it may be this run's doing."""
NAP = 0.5
AT_ONCE = 4
"""How many are counted at the same time: so many trees that take long keep none but themselves waiting."""


@dataclass
class Held:
    """A run that is attended here, or its set-up."""

    run_id: UUID
    """As its runner knows it."""
    runner: Runner
    due: float
    """On the monotonic clock."""
    urgent: float = 0.0
    """Before this it is not counted in any case."""
    least_free: int = 0
    """With less on the disk it may have taken more than it has left."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when it is not to be counted any more."""
    is_set_up: bool = False
    is_doubted: bool = False
    """Whether not all could be counted the last time: it is stopped if that is so twice."""
    is_outgrown: bool = False
    """Whether it was stopped, as its row says."""


class DiskLimits:
    """All counts of a process. To be used by any thread; none ever waits for one."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._counting = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def hold(self, run_id: UUID, runner: Runner, *, is_set_up: bool = False) -> Iterator[Held]:
        """Have a run, or a set-up, stopped that takes too much while the context lasts; *runner* has it."""
        held = Held(run_id, runner, time.monotonic() + NAP, is_set_up=is_set_up)
        threading.Thread(target=self._count_for_ever, args=[held], daemon=True, name=f"disk-{run_id}").start()
        try:
            yield held
        finally:
            held.over.set()

    def _count_for_ever(self, held: Held) -> None:
        """In a thread of its own: where counting or killing one lasts long, no other waits for it."""
        while not held.over.wait(NAP):
            now = time.monotonic()
            if now >= held.due or (now >= held.urgent and self._free() < held.least_free):
                self._count(held)

    def _free(self) -> int:
        try:
            return disk.free_bytes(self._home)
        except OSError:
            return 0

    def _count(self, held: Held) -> None:
        """Count what a run takes, and stop it if that is too much; the next time comes all the same."""
        began = took = 0.0
        try:
            with self._counting:
                if held.over.is_set():
                    return
                began, free = time.monotonic(), self._free()
                used = held.runner.disk_use(held.run_id)
                took = time.monotonic() - began
            if used is None:
                held.over.set()
                return
            held.least_free = free - max(0, used.limit - used.size)
            is_doubted = used.is_too_much and not used.is_more and not held.is_doubted
            held.is_doubted = bool(used.uncounted)
            if is_doubted:
                # A busy machine may have been too slow, or a program closed something for a moment.
                took = 0.0
            elif used.is_too_much and not held.over.is_set():
                self._stop(held, used)
        except EggError as error:
            log.warning("disk.not_counted", run=str(held.run_id), error=error.message)
        except Exception:
            log.exception("disk.not_counted", run=str(held.run_id))
        pause = 0.0 if held.is_doubted else max(EVERY, SHARE * took)
        held.due, held.urgent = began + pause, began + URGENT_SHARE * took

    def _stop(self, held: Held, used: DiskUse) -> None:
        """Have a run end that takes too much: first its row says why, so that it ends though we do not."""
        run_id = set_up_of(held.run_id) if held.is_set_up else held.run_id
        why = f"by its set-up: {used}" if held.is_set_up else str(used)
        with unit_of_work() as session:
            agent_stops.outgrown(session, run_id=run_id, why=why, now=utcnow())
        held.is_outgrown = True
        log.warning("disk.outgrown", run=str(held.run_id), bytes=used.size, limit=used.limit)
        # At once: what fills a disk is asked nothing. Where this fails, whoever attends it does it.
        with suppress(EggError):
            held.runner.kill(held.run_id)
