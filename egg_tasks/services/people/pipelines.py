"""Pipelines: create, start, prepare, cancel."""

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Preparation
from egg_tasks.services.bus import events
from egg_tasks.services.engine import deadlines, epochs, evaluation, steps
from models.errors import Conflict
from models.events import EventType
from models.foreign import counted
from models.git_names import result_branch
from models.queries import phase_runs, pipelines
from models.schemas.definition import Definition
from models.schemas.http import SubmissionIn
from models.states import PipelineStatus, is_final
from models.tables import PhaseRun, Pipeline, move_to
from models.tries import BOUNDS, Work

PREPARATION = BOUNDS[Work.PREPARATION]
FIRST_BACKOFF = timedelta(seconds=5)
UNTOLD = SubmissionIn()


def create(
    session: Session,
    *,
    definition: Definition,
    now: datetime,
    name: str | None = None,
    submission: SubmissionIn = UNTOLD,
) -> Pipeline:
    """Pin a definition as a new pipeline, called *name* or as it says; `Conflict` when its name is taken."""
    pipeline = Pipeline(
        id=name or definition.name or f"local-{uuid4().hex[:8]}",
        status=PipelineStatus.PENDING,
        definition=definition,
        preparations=0,
        rerun_of=submission.rerun_of,
        rerun_of_name=submission.rerun_of,
        file=submission.file,
        overrides=list(submission.overrides),
        client_key=submission.client_key,
        created_at=now,
    )
    pipelines.add_pipeline(session, pipeline=pipeline)
    again = f" to run {submission.rerun_of} again" if submission.rerun_of else ""
    events.record(
        session,
        EventType.PIPELINE_CREATED,
        f"pipeline {pipeline.id} is created{again}",
        now=now,
        pipeline=pipeline,
        details={"rerun_of": submission.rerun_of} if submission.rerun_of else None,
    )
    return pipeline


def start(session: Session, *, pipeline_id: str, now: datetime) -> None:
    """Start a pending pipeline with its first phase; starting a running one again changes nothing."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.status in {PipelineStatus.RUNNING, PipelineStatus.AWAITING_HUMAN}:
        return
    if pipeline.status is not PipelineStatus.PENDING:
        raise Conflict(
            f"pipeline {pipeline_id} is {pipeline.status} and cannot be started",
            {"status": str(pipeline.status)},
        )
    move_to(pipeline, PipelineStatus.RUNNING)
    pipeline.started_at = now
    pipeline.send_after = now + FIRST_BACKOFF
    events.record(
        session, EventType.PIPELINE_STARTED, f"pipeline {pipeline.id} starts", now=now, pipeline=pipeline
    )
    phase_run = epochs.begin(session, pipeline=pipeline, position=0, now=now)
    phase_run.why = "the repository is being prepared"
    outbox.of(session).add(Preparation(pipeline.id))


def prepared(session: Session, *, pipeline_id: str, base_commit: str, now: datetime) -> None:
    """Record that the pipeline's repository is there, and go on."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    is_new = pipeline.work_commit is None
    if is_new:
        pipeline.base_commit = pipeline.work_commit = base_commit
        pipeline.why = None
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline_id)
    if phase_run is None:
        return
    if is_new:
        # A repository that was long in coming takes nothing from the agents' time.
        epoch = epochs.lock(session, phase_run_id=phase_run.id, now=now)
        deadlines.begin(epoch.phase_run, pipeline, now=now)
        session.flush()
    evaluation.evaluate(session, phase_run_id=phase_run.id, now=now)


def preparation_failed(
    session: Session, *, pipeline_id: str, why: str, is_final: bool, now: datetime
) -> None:
    """Try a pipeline's repository again later, or fail the pipeline when that is of no use."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.work_commit is not None or pipeline.status is not PipelineStatus.RUNNING:
        return
    pipeline.preparations += 1
    pipeline.send_after = now + PREPARATION.pause(pipeline.preparations)
    # What `egg why` says until the next try.
    pipeline.why = why
    if is_final or PREPARATION.is_over(pipeline.preparations):
        _finish(session, pipeline, PipelineStatus.FAILED, why=why, now=now)


def cancel(session: Session, *, pipeline_id: str, now: datetime) -> None:
    """End a pipeline at once: its epoch and its runs first, in this transaction; then their processes."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.status is PipelineStatus.CANCELLED:
        return
    if is_final(pipeline.status):
        raise Conflict(
            f"pipeline {pipeline_id} is {pipeline.status} already", {"status": str(pipeline.status)}
        )
    _finish(session, pipeline, PipelineStatus.CANCELLED, why="a person cancelled it", now=now)


def source(session: Session, *, pipeline_id: str) -> str:
    """Where a pipeline's repository came from: a path or a URL."""
    return pipelines.get_pipeline(session, pipeline_id=pipeline_id).definition.repo


def pause(session: Session, *, pipeline_id: str, now: datetime) -> None:
    """Let nothing new start in a pipeline; agents that run go on, and what they say is kept."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.status is not PipelineStatus.PAUSED:
        move_to(pipeline, PipelineStatus.PAUSED)
        phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline_id)
        if phase_run is not None:
            epoch = epochs.lock(session, phase_run_id=phase_run.id, now=now)
            deadlines.stop_clock(epoch.phase_run, now=now)
        events.record(
            session,
            EventType.PIPELINE_PAUSED,
            f"pipeline {pipeline.id} is paused",
            now=now,
            pipeline=pipeline,
        )


def resume(session: Session, *, pipeline_id: str, now: datetime) -> None:
    """Go on with a paused pipeline."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.status is not PipelineStatus.PAUSED:
        raise Conflict(
            f"pipeline {pipeline_id} is {pipeline.status}, not paused", {"status": str(pipeline.status)}
        )
    move_to(pipeline, PipelineStatus.RUNNING)
    events.record(
        session, EventType.PIPELINE_RESUMED, f"pipeline {pipeline.id} goes on", now=now, pipeline=pipeline
    )
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline_id)
    if phase_run is None:
        return
    evaluation.evaluate(session, phase_run_id=phase_run.id, now=now)


def extend(session: Session, *, pipeline_id: str, iterations: int, minutes: float, now: datetime) -> None:
    """Grant a pipeline more iterations of phases that do not converge, and its phase run more time.

    `Conflict` when it is over, or when there is no deadline to move.
    """
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if is_final(pipeline.status):
        raise Conflict(
            f"pipeline {pipeline_id} is {pipeline.status}: more is granted before its last iteration ends; "
            f"{_more(pipeline, iterations)}",
            {"status": str(pipeline.status)},
        )
    pipeline.extra_iterations += iterations
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline_id)
    epoch = epochs.lock(session, phase_run_id=phase_run.id, now=now) if phase_run else None
    if minutes:
        _move_deadlines(pipeline, epoch.phase_run if epoch else None, timedelta(minutes=minutes))
    granted = [counted(iterations, "iteration")] if iterations else []
    granted += [f"{minutes:g} minute{'' if minutes == 1 else 's'}"] if minutes else []
    text = f"pipeline {pipeline_id} is extended by {' and '.join(granted)}"
    events.record(
        session,
        EventType.PIPELINE_EXTENDED,
        text,
        now=now,
        pipeline=pipeline,
        details={"iterations": iterations, "minutes": minutes},
    )
    if epoch is not None:
        epoch.phase_run.facts += 1
        evaluation.settle(epoch)


def _more(pipeline: Pipeline, iterations: int) -> str:
    """How the work of a pipeline that is over is gone on with, as it is typed."""
    name = pipeline.id
    if pipeline.status is not PipelineStatus.COMPLETE:
        return f"to begin anew: egg pipeline rerun {name}"
    most = f" --set config.max_iterations={iterations}" if iterations else ""
    return f"to go on from its work: egg pipeline rerun {name} --set base={result_branch(name)}{most}"


def _move_deadlines(pipeline: Pipeline, phase_run: PhaseRun | None, by: timedelta) -> None:
    if phase_run is None or phase_run.soft_deadline_at is None:
        raise Conflict(
            f"pipeline {pipeline.id} has no deadline that could be moved; it is {pipeline.status}",
            {"status": str(pipeline.status)},
        )
    phase_run.soft_deadline_at += by
    if phase_run.hard_deadline_at is not None:
        phase_run.hard_deadline_at += by


def _finish(session: Session, pipeline: Pipeline, status: PipelineStatus, *, why: str, now: datetime) -> None:
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline.id)
    if phase_run is None:
        epochs.finish(session, pipeline, status, why=why, now=now)
        return
    epoch = epochs.lock(session, phase_run_id=phase_run.id, now=now)
    steps.cancel(epoch, status, why=why)
