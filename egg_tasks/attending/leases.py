"""Leases: a worker process renews all that it holds together, so that waiting agents cost next to nothing.

What is looked at of a run, and said to its agent, is its own attendance's to do, in its own thread: nothing
that is there can keep the leases of others from being renewed.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.prompts.prompt import signal
from egg_tasks.services.agents.agent_runs import LEASE
from egg_tasks.services.engine import deadlines, sleep
from models.errors import Unavailable
from models.queries import agent_runs
from models.states import LIVE_RUNS
from models.tables import AgentRun

log = structlog.get_logger()

RENEW_EVERY = 1.0
"""Seconds between renewals: a lease survives several that fail, and an agent is told in time."""


@dataclass
class Lease:
    """The hold of one attendance on its run, and the run as it was when the lease was last renewed."""

    run_id: UUID
    owner: str
    active_at: datetime | None = None
    """When its agent last did something that can be seen on this machine, as its attendance saw."""
    words: str | None = None
    """What its agent is to be told, by its attendance; None while there is nothing."""
    run: AgentRun | None = None
    looked_at: datetime | None = None
    """When that was; no later than the machine's sleep, as long as that has not moved what is to come."""
    is_lost: bool = False

    @property
    def is_to_end(self) -> bool:
        """Whether the run was over, or its time was up, when it was last looked at."""
        run, at = self.run, self.looked_at
        if run is None or at is None:
            return False
        return run.status not in LIVE_RUNS or (run.stop_at is not None and run.stop_at <= at)


class LeaseLostError(Exception):
    """Another worker attends the run now."""


class Leases:
    """All leases of a process. To be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[UUID, Lease] = {}
        self._renewing: threading.Thread | None = None

    @contextmanager
    def hold(self, lease: Lease) -> Iterator[Lease]:
        """Have a lease that was claimed renewed while the context lasts."""
        with self._lock:
            self._held[lease.run_id] = lease
        self.keep()
        try:
            yield lease
        finally:
            with self._lock:
                # Another thread of this process may hold the run by now.
                if self._held.get(lease.run_id) is lease:
                    del self._held[lease.run_id]

    def keep(self) -> None:
        """Have a thread renew what is held, if none does or the one that did is gone; safe to repeat."""
        with self._lock:
            if self._renewing is not None and self._renewing.is_alive():
                return
            if self._renewing is not None:
                log.error("leases.renewing_ended", leases=len(self._held))
            self._renewing = threading.Thread(target=self._renew_for_ever, daemon=True)
            self._renewing.start()

    def _renew_for_ever(self) -> None:
        while True:
            with self._lock:
                held = list(self._held.values())
                if not held:
                    self._renewing = None
                    return
            try:
                renew_all(held)
            except Unavailable as error:
                log.warning("leases.not_renewed", leases=len(held), error=error.message)
            time.sleep(RENEW_EVERY)


def renew_all(held: Sequence[Lease]) -> None:
    """Renew these leases together, or each by itself where one of them keeps the others from it.

    `Unavailable` when the database is away.
    """
    try:
        renew(held, now=utcnow())
    except Unavailable:
        raise
    except Exception:
        log.exception("leases.failed", leases=len(held))
        for lease in held:
            _renew_alone(lease)


def _renew_alone(lease: Lease) -> None:
    try:
        renew([lease], now=utcnow())
    except Unavailable:
        raise
    except Exception:
        # Whoever waits for the others' renewal must not wait for this one.
        log.exception("leases.failed", run=str(lease.run_id))


def renew(held: Sequence[Lease], *, now: datetime) -> None:
    """Renew these leases in one statement, and look at their runs; who has lost one is told.

    A run that somebody else has locked is left to the next time.
    """
    with unit_of_work() as session:
        runs = agent_runs.lock_some_agent_runs(session, run_ids=[lease.run_id for lease in held])
        found = {run.id: run for run in runs}
        owned = [lease for lease in held if _owner(found.get(lease.run_id)) == lease.owner]
        agent_runs.renew_leases(session, run_ids=[lease.run_id for lease in owned], until=now + LEASE)
        words: dict[UUID, str | None] = {}
        for lease in owned:
            run = found[lease.run_id]
            run.last_active_at = _latest(run.last_active_at, lease.active_at, now)
            summons = deadlines.summons(session, run)
            words[lease.run_id] = signal(summons) if summons else None
        looked_at = sleep.latest(session, now=now)
    for lease in held:
        if lease.run_id in words:
            lease.run, lease.looked_at, lease.words = found[lease.run_id], looked_at, words[lease.run_id]
        elif lease.run_id in found:
            lease.is_lost = True


def _owner(run: AgentRun | None) -> str | None:
    return run.lease_owner if run is not None else None


def _latest(known: datetime | None, seen: datetime | None, now: datetime) -> datetime | None:
    """The later of what was known, or said by the agent, and what is seen; never in the future."""
    found = [at for at in (known, seen) if at is not None]
    return min(max(found), now) if found else None
