"""Waiting for the engine that is to make a run's container: for a while it is nobody's fault that it is away.

An engine that is started anew is back within a minute. One that does not come back is told to a person, and
the run's place on its node goes to another.
"""

import threading
import time
from datetime import timedelta

from egg_tasks.attending.leases import Lease, LeaseLostError
from egg_tasks.attending.set_up import DrainedError
from egg_tasks.database import unit_of_work
from egg_tasks.ports import Runner
from egg_tasks.services.agents import tries
from egg_tasks.use_cases.faults import shortened
from models.errors import EngineAway, Unavailable

PATIENCE = timedelta(minutes=2)
PAUSE = timedelta(seconds=1)


def await_return(runner: Runner, lease: Lease, *, draining: threading.Event, patience: timedelta) -> bool:
    """Return when runs can be made here, True, or when this one is to end without one, False.

    What is waited for is written on its row. `Unavailable` when it was waited for long enough; raises
    `DrainedError` and `LeaseLostError`, after which another waits anew.
    """
    # Counted, as a clock runs on while all of us are stopped; an engine that hangs takes long to say nothing.
    waited = timedelta(0)
    while True:
        began = time.monotonic()
        try:
            runner.need()
        except EngineAway as error:
            if waited >= patience:
                why = f"{error.message}; it was waited for {patience.total_seconds():.0f} s"
                raise Unavailable(why) from error
            if not waited:
                _tell(lease, error)
        else:
            return True
        if draining.wait(PAUSE.total_seconds()):
            raise DrainedError
        if lease.is_lost:
            raise LeaseLostError
        if lease.is_to_end:
            return False
        waited += max(PAUSE, timedelta(seconds=time.monotonic() - began))


def _tell(lease: Lease, error: EngineAway) -> None:
    with unit_of_work() as session:
        tries.hold_up(session, run_id=lease.run_id, owner=lease.owner, why=shortened(error))
