"""Credentials: whether the agent run a token speaks for may still speak."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import signals
from egg_tasks.services.verdicts import Epoch
from models.errors import Conflict
from models.queries import agent_runs, phase_runs, pipelines
from models.states import LIVE_RUNS
from models.tables import AgentRun

UNKNOWN = "nobody knows this credential: check EGG_SESSION_TOKEN or EGG_OPERATOR_TOKEN"


def check(session: Session, *, run_id: UUID, now: datetime) -> AgentRun:
    """The run as it is, not locked; `Conflict` when it is over."""
    return _alive(session, agent_runs.get_agent_run(session, run_id=run_id), now)


def hold(session: Session, *, run_id: UUID, now: datetime) -> AgentRun:
    """The run, kept alive until the unit of work ends, so that a write is wholly before its end."""
    return _alive(session, agent_runs.share_agent_run(session, run_id=run_id), now)


def _alive(session: Session, run: AgentRun, now: datetime) -> AgentRun:
    if run.status not in LIVE_RUNS:
        raise _over(session, run, now)
    return run


def _over(session: Session, run: AgentRun, now: datetime) -> Conflict:
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    current = phase_runs.find_last_phase_run(session, pipeline_id=run.pipeline_id)
    assert current is not None, "a run belongs to a phase run"  # noqa: S101
    return signals.stale(run, Epoch(pipeline, current, now))
