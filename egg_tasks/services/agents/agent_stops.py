"""Stops of a run that nobody ordered: it took more than it may."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.bus import events
from egg_tasks.services.engine import epochs
from models.events import EventType
from models.queries import agent_runs
from models.states import LIVE_RUNS, Failure


def outgrown(session: Session, *, run_id: UUID, why: str, now: datetime) -> None:
    """Have a live run end, since it takes more of the disk than it may; repeating it changes nothing."""
    unlocked = agent_runs.get_agent_run(session, run_id=run_id)
    epoch = epochs.lock(session, phase_run_id=unlocked.phase_run_id, now=now)
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.status not in LIVE_RUNS or run.stopped_for is Failure.DISK:
        return
    run.stopped_for, run.error, run.is_cut_short = Failure.DISK, why, False
    run.stop_at = min(run.stop_at or now, now)
    epoch.tell(EventType.AGENT_STOPPING, f"{events.label(run)} is stopped: {why}", run=run)
