"""Leases: a worker process renews all that it holds together, so that waiting agents cost next to nothing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services import deadlines, sleep
from egg_tasks.services.agent_runs import LEASE
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
    last_active_at: Callable[[], datetime | None]
    """When its agent last did something that can be seen on this machine."""
    tell: Callable[[str], None]
    """Tells its agent something by a signal; safe to repeat."""
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
            if self._renewing is None:
                self._renewing = threading.Thread(target=self._renew_for_ever, daemon=True)
                self._renewing.start()
        try:
            yield lease
        finally:
            with self._lock:
                # Another thread of this process may hold the run by now.
                if self._held.get(lease.run_id) is lease:
                    del self._held[lease.run_id]

    def _renew_for_ever(self) -> None:
        while True:
            with self._lock:
                held = list(self._held.values())
                if not held:
                    self._renewing = None
                    return
            try:
                renew(held, now=utcnow())
            except Unavailable as error:
                log.warning("leases.not_renewed", leases=len(held), error=error.message)
            except Exception:
                # Whoever waits for the others' renewal must not wait for ever.
                log.exception("leases.failed", leases=len(held))
            time.sleep(RENEW_EVERY)


def renew(held: Sequence[Lease], *, now: datetime) -> None:
    """Renew these leases in one statement, and look at their runs; who has lost one is told.

    A run that somebody else has locked is left to the next time.
    """
    active = {lease.run_id: lease.last_active_at() for lease in held}
    with unit_of_work() as session:
        runs = agent_runs.lock_some_agent_runs(session, run_ids=list(active))
        found = {run.id: run for run in runs}
        owned = [lease for lease in held if _owner(found.get(lease.run_id)) == lease.owner]
        agent_runs.renew_leases(session, run_ids=[lease.run_id for lease in owned], until=now + LEASE)
        words = {}
        for lease in owned:
            run = found[lease.run_id]
            run.last_active_at = _latest(run.last_active_at, active[lease.run_id], now)
            words[lease.run_id] = deadlines.words(session, run)
        looked_at = sleep.latest(session, now=now)
    for lease in held:
        if lease.run_id in words:
            lease.run, lease.looked_at = found[lease.run_id], looked_at
        elif lease.run_id in found:
            lease.is_lost = True
    for lease in owned:
        said = words[lease.run_id]
        if said is not None:
            lease.tell(said)


def _owner(run: AgentRun | None) -> str | None:
    return run.lease_owner if run is not None else None


def _latest(known: datetime | None, seen: datetime | None, now: datetime) -> datetime | None:
    """The later of what was known, or said by the agent, and what is seen; never in the future."""
    found = [at for at in (known, seen) if at is not None]
    return min(max(found), now) if found else None
