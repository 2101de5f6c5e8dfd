"""Credentials: whether the agent run a token speaks for may still speak."""

from uuid import UUID

from sqlalchemy.orm import Session

from models.errors import Conflict
from models.queries import agent_runs, phase_runs, pipelines
from models.states import LIVE_RUNS
from models.tables import AgentRun, PhaseRun, Pipeline

UNKNOWN = "nobody knows this credential: check EGG_SESSION_TOKEN or EGG_OPERATOR_TOKEN"


def check(session: Session, *, run_id: UUID) -> AgentRun:
    """The run as it is, not locked; `Conflict` when it is over."""
    return _alive(session, agent_runs.get_agent_run(session, run_id=run_id))


def hold(session: Session, *, run_id: UUID) -> AgentRun:
    """The run, kept alive until the unit of work ends, so that a write is wholly before its end."""
    return _alive(session, agent_runs.share_agent_run(session, run_id=run_id))


def stale(run: AgentRun, phase_run: PhaseRun, pipeline: Pipeline) -> Conflict:
    """The refusal of a late write, with the phase run that counts now."""
    return Conflict(
        f"this agent run is over ({run.status}); nothing it says counts any more, so end now",
        {
            "run_status": str(run.status),
            "phase": phase_run.phase,
            "iteration": phase_run.iteration,
            "phase_status": str(phase_run.status),
            "pipeline_status": str(pipeline.status),
        },
    )


def _alive(session: Session, run: AgentRun) -> AgentRun:
    if run.status in LIVE_RUNS:
        return run
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    current = phase_runs.find_last_phase_run(session, pipeline_id=run.pipeline_id)
    assert current is not None, "a run belongs to a phase run"  # noqa: S101
    raise stale(run, current, pipeline)
