"""Clones of runs that are over: those that hold all they held in a branch go, the others are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.bus import events
from models.errors import Conflict
from models.events import EventType
from models.foreign import named
from models.queries import agent_runs, pipelines
from models.tables import AgentRun

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
MOST_SENDS = 60
"""Two days, nearly all of them at the longest pause."""
UNKNOWN = "all of it (nobody wrote down what became of it)"


def claim_due(session: Session, *, keep: timedelta, now: datetime, limit: int) -> Sequence[AgentRun]:
    """The runs whose clones are to go or to be put aside; each is due again later, in case nobody does it.

    After `MOST_SENDS` its machine is taken for gone: nothing is sent there until a worker of it starts.
    """
    found = agent_runs.claim_uncleared_agent_runs(
        session, ended_before=now - keep, now=now, limit=limit, most_sends=MOST_SENDS
    )
    for run in found:
        run.sends += 1
        run.send_after = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(run.sends - 1, 10))
    return found


def is_to_be_kept(run: AgentRun) -> bool:
    """Whether a run's clone, if it has one, may hold what is nowhere else. A check leaves no work."""
    return run.role is not None and run.kept_paths != []


def is_cleared(run: AgentRun) -> bool:
    """Whether there is nothing to do for the clone of a run: it goes on, or what was to be done is done."""
    return run.closed_at is None or run.clone_kept_at is not None or run.clone_removed_at is not None


def kept(session: Session, *, run_id: UUID, now: datetime) -> None:
    """Note that a run's clone was put aside."""
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    run.clone_kept_at = run.clone_kept_at or now
    run.kept_paths = run.kept_paths or [UNKNOWN]


def removed(session: Session, *, run_id: UUID, now: datetime) -> None:
    """Note that a run's clone is gone."""
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    run.clone_removed_at = run.clone_removed_at or now


def refuse_unkept(run: AgentRun) -> None:
    """Raise `Conflict` unless a run's clone was put aside and is still there."""
    if run.clone_kept_at is None or run.clone_removed_at is not None:
        raise Conflict(f"nothing is kept of agent run {run.id}: what is, `egg gc` lists")


def given_up(session: Session, *, run_id: UUID, now: datetime) -> AgentRun:
    """Note that a person had removed what was kept of a run, and tell it."""
    run = agent_runs.get_agent_run(session, run_id=run_id)
    pipeline = pipelines.lock_pipeline(session, pipeline_id=run.pipeline_id)
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    refuse_unkept(run)
    run.clone_removed_at = now
    text = f"a person has removed what was kept of {events.label(run)}: {named(run.kept_paths or [])}"
    events.record(
        session, EventType.AGENT_REMOVED, text, now=now, pipeline=pipeline, role=run.role, run_id=run.id
    )
    return run
