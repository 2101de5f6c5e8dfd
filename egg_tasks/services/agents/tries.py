"""Tries: how often in a row a run may be attended in vain, how far apart, and when it is given up."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.bus import events
from models.queries import agent_runs
from models.states import LIVE_RUNS
from models.tables import AgentRun

MOST = 5
"""So often a run is attended before it is closed as lost."""
MOST_WHEN_OVER = 3
"""So often one that was cancelled: whoever did so waits for it."""
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(seconds=60)
PAUSE_WHEN_OVER = timedelta(seconds=1)
PATIENCE = 4
"""So many times as often one whose process lives: what ended the worker was hardly this run."""
PAUSE_OF_NOBODYS = timedelta(seconds=5)


def are_used_up(run: AgentRun) -> bool:
    """Whether the run is to be given up should it not come to its end now."""
    return max(1, run.tries) >= most(run)


def most(run: AgentRun) -> int:
    """How often the run may be attended in vain."""
    return MOST if run.status in LIVE_RUNS else MOST_WHEN_OVER


def is_hopeless(run: AgentRun, *, lives: bool) -> bool:
    """Whether a run that was just claimed is not even tried: whoever tried it so often did not live."""
    return run.tries > most(run) * (PATIENCE if lives else 1)


def pause(run: AgentRun) -> timedelta:
    """How long the next try waits: twice as long each time, but where somebody waits for it."""
    is_waited_for = run.status not in LIVE_RUNS
    first = PAUSE_WHEN_OVER if is_waited_for else FIRST_PAUSE
    times = run.tries - (most(run) if is_waited_for else 1)
    doubled: timedelta = first * 2 ** min(max(0, times), 10)
    return min(LONGEST_PAUSE, doubled)


def fail(session: Session, *, run_id: UUID, owner: str, now: datetime) -> None:
    """Note that a try was in vain by a fault of the run's own, and leave it to be tried again a little later.

    Its claim has counted it, but for one that was started in the same attendance. Nothing changes when
    another attends it by now.
    """
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.lease_owner == owner:
        run.tries = max(1, run.tries)
        run.lease_owner = run.lease_until = None
        run.send_after = now + pause(run)


def hold_up(session: Session, *, run_id: UUID, owner: str, why: str) -> None:
    """Note what a run waits for that is nobody's fault, for whoever asks why it does not go on."""
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.lease_owner == owner:
        run.held_up = why


def forgive(session: Session, *, run_id: UUID, owner: str, why: str, now: datetime) -> None:
    """Note that a try was in vain by nobody's fault: it does not count, and is made again soon."""
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.lease_owner == owner:
        run.held_up = why
        run.tries = max(0, run.tries - 1)
        run.lease_owner = run.lease_until = None
        run.send_after = now + PAUSE_OF_NOBODYS


def succeed(session: Session, *, run_id: UUID) -> None:
    """Note that the run is attended well, so that tries are counted anew."""
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    run.tries, run.held_up = 0, None


def held_up(runs: Iterable[AgentRun]) -> tuple[str, ...]:
    """What runs wait for that is nobody's fault, a sentence for each such thing."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if run.held_up:
            found.setdefault(run.held_up, []).append(events.label(run))
    return tuple(
        f"{' and '.join(names)} wait{'s' if len(names) == 1 else ''}: {why}" for why, names in found.items()
    )
