"""Ticking: what every worker and the reconciler do, so that a machine that slept is told from a busy one."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from egg_tasks.adapters import runners
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.ports import Runner
from egg_tasks.services.engine import sleep
from models.errors import Unavailable
from models.schemas.silence import ASLEEP, BEGINNING, Silence

log = structlog.get_logger()

TICK_SECONDS = 4.0


class Ticker:
    """One ticking process: it remembers when it did not tick, also while the database was away."""

    def __init__(self, runners: Sequence[Runner], *, now: datetime) -> None:
        self._runners = runners
        self._ticked_at = self._began_at = now
        self.slept = timedelta(0)
        """How long the machine has slept, as far as this process was the first to find it."""
        # Of the time before it was there it knows nothing.
        self._silences = [Silence(BEGINNING, now)]

    def tick(self, *, now: datetime) -> None:
        """Tick once; `Unavailable` when the database is away, which is no silence."""
        if now - self._ticked_at >= ASLEEP:
            self._silences.append(Silence(self._ticked_at, now))
        self._ticked_at = now
        with single_statements() as session:
            ticked_at = sleep.tick(session, now=now)
        if ticked_at is not None:
            of_runs = (silences for each in self._runners for silences in each.list_silences(since=ticked_at))
            silences = [self._silences, *of_runs]
            with unit_of_work() as session:
                slept = sleep.wake(session, ticked_at=ticked_at, silences=silences, now=now)
            self.slept += slept
            if slept:
                seconds, since = slept.total_seconds(), ticked_at.isoformat()
                # What was not heard of before this process was there did not sleep: the stack was down.
                if ticked_at < self._began_at:
                    log.info("stack.was_down", seconds=seconds, since=since)
                else:
                    log.warning("machine.slept", seconds=seconds, since=since)
        self._silences.clear()


def start() -> None:
    """Tick from now on, in a thread of its own, as long as this process lives."""
    threading.Thread(target=_tick_for_ever, args=(begun(now=utcnow()),), name="ticker", daemon=True).start()


def begun(*, now: datetime) -> Ticker:
    """What ticks here from now on: it hears of all runs of this machine, wherever they are."""
    return Ticker(runners(), now=now)


def _tick_for_ever(ticker: Ticker) -> None:
    while True:
        try:
            ticker.tick(now=utcnow())
        except Unavailable as error:
            log.warning("ticker.waits", error=error.message)
        except Exception:
            # Whoever waits for the next tick must not wait for ever.
            log.exception("ticker.failed")
        time.sleep(TICK_SECONDS)
