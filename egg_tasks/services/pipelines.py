"""Pipelines: create, start, prepare, cancel."""

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.orm import Session

from egg_tasks.services import journal, phases
from egg_tasks.services.effects import Effects
from models.errors import Conflict
from models.queries import agent_runs, decisions, phase_runs, pipelines
from models.schemas.definition import Definition
from models.states import LIVE_RUNS, DecisionStatus, PhaseStatus, PipelineStatus, RunStatus, is_final
from models.tables import Pipeline, move_to

MAX_PREPARATIONS = 5
FIRST_BACKOFF = timedelta(seconds=5)


def create(session: Session, *, definition: Definition, now: datetime) -> Pipeline:
    """Pin a definition as a new pipeline; `Conflict` when its name is taken."""
    pipeline = Pipeline(
        id=definition.name or f"local-{uuid4().hex[:8]}",
        status=PipelineStatus.PENDING,
        definition=definition.model_dump(mode="json"),
        preparations=0,
        created_at=now,
    )
    pipelines.add_pipeline(session, pipeline=pipeline)
    journal.record(
        session, "pipeline.created", f"pipeline {pipeline.id} is created", now=now, pipeline=pipeline
    )
    return pipeline


def start(session: Session, *, pipeline_id: str, now: datetime) -> Effects:
    """Start a pending pipeline with its first phase; starting a running one again changes nothing."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    effects = Effects(hints={pipeline.id})
    if pipeline.status in {PipelineStatus.RUNNING, PipelineStatus.AWAITING_HUMAN}:
        return effects
    if pipeline.status is not PipelineStatus.PENDING:
        raise Conflict(
            f"pipeline {pipeline_id} is {pipeline.status} and cannot be started",
            {"status": str(pipeline.status)},
        )
    move_to(pipeline, PipelineStatus.RUNNING)
    pipeline.started_at = now
    pipeline.send_after = now + FIRST_BACKOFF
    journal.record(session, "pipeline.started", f"pipeline {pipeline.id} starts", now=now, pipeline=pipeline)
    phase_run = phases.begin(session, pipeline=pipeline, position=0, now=now)
    phase_run.why = "the repository is being prepared"
    effects.preparations.append(pipeline.id)
    return effects


def prepared(session: Session, *, pipeline_id: str, base_commit: str, now: datetime) -> Effects:
    """Record that the pipeline's repository is there, and go on."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.work_commit is None:
        pipeline.base_commit = pipeline.work_commit = base_commit
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline_id)
    if phase_run is None:
        return Effects()
    return phases.evaluate(session, phase_run_id=phase_run.id, now=now)


def preparation_failed(
    session: Session, *, pipeline_id: str, why: str, is_final: bool, now: datetime
) -> Effects:
    """Try a pipeline's repository again later, or fail the pipeline when that is of no use."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.work_commit is not None or pipeline.status is not PipelineStatus.RUNNING:
        return Effects()
    pipeline.preparations += 1
    pipeline.send_after = now + FIRST_BACKOFF * 2**pipeline.preparations
    if is_final or pipeline.preparations >= MAX_PREPARATIONS:
        _finish(session, pipeline, PipelineStatus.FAILED, PhaseStatus.CANCELLED, why=why, now=now)
    return Effects(hints={pipeline.id})


def cancel(session: Session, *, pipeline_id: str, now: datetime) -> Effects:
    """End a pipeline at once: its epoch and its runs first, in this transaction; then their processes."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.status is PipelineStatus.CANCELLED:
        return Effects()
    if is_final(pipeline.status):
        raise Conflict(
            f"pipeline {pipeline_id} is {pipeline.status} already", {"status": str(pipeline.status)}
        )
    _finish(
        session,
        pipeline,
        PipelineStatus.CANCELLED,
        PhaseStatus.CANCELLED,
        why="a person cancelled it",
        now=now,
    )
    return Effects(hints={pipeline.id})


def _finish(
    session: Session,
    pipeline: Pipeline,
    status: PipelineStatus,
    phase_status: PhaseStatus,
    *,
    why: str,
    now: datetime,
) -> None:
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline.id)
    if phase_run is not None:
        epoch = phases.lock_epoch(session, phase_run_id=phase_run.id, now=now)
        epoch.phase_run.why = why
        phases.end(session, epoch, phase_status)
        for run in agent_runs.lock_unclosed_agent_runs(session, phase_run_id=phase_run.id):
            if run.status in LIVE_RUNS:
                move_to(run, RunStatus.CANCELLED)
                run.ended_at = run.stop_at = run.send_after = now
        for decision in decisions.list_decisions(session, phase_run_id=phase_run.id, is_pending=True):
            move_to(decision, DecisionStatus.CANCELLED)
    move_to(pipeline, status)
    pipeline.why, pipeline.ended_at = why, now
    kind = "pipeline.cancelled" if status is PipelineStatus.CANCELLED else "pipeline.failed"
    journal.record(session, kind, f"pipeline {pipeline.id} is {status}: {why}", now=now, pipeline=pipeline)
