"""Phase runs: begin one, decide what it does next, end it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import deadlines, focus, journal, receipts, sleep, verdicts
from egg_tasks.services.verdicts import Epoch
from models.consensus import convergence
from models.consensus.decide import decide
from models.consensus.snapshot import Snapshot
from models.consensus.verdict import (
    Advance,
    Ask,
    Cancel,
    Check,
    Close,
    Converge,
    DecisionKind,
    Dispatch,
    Drop,
    Fail,
    Integrate,
    Iterate,
    Nudge,
    Rebase,
    Restart,
    StopRun,
    Verdict,
    Wait,
)
from models.queries import phase_runs, pipelines, streams, versions
from models.queries.snapshots import load_snapshot
from models.states import LIVE_PHASES, CheckStatus, MergeStatus, PhaseStatus, PipelineStatus, StopReason
from models.tables import PhaseRun, Pipeline, Role, merge_to, move_to

MAX_VERDICTS = 200
"""More verdicts in one evaluation than any roster can give: a rule that repeats itself is a bug."""


def begin(
    session: Session,
    *,
    pipeline: Pipeline,
    position: int,
    now: datetime,
    iteration: int = 1,
    iterations_used: int = 1,
    feedback: Mapping[str, object] | None = None,
) -> PhaseRun:
    """Start an iteration of a phase: its row, its readiness rows, its first event."""
    phase = pipeline.definition.phases[position]
    tip = streams.last_message_id(session, pipeline_id=pipeline.id)
    phase_run = PhaseRun(
        pipeline_id=pipeline.id,
        phase=phase.name,
        position=position,
        iteration=iteration,
        status=PhaseStatus.RUNNING,
        facts=1,
        evaluated_message=tip,
        iterations_used=iterations_used,
        feedback=dict(feedback or {}),
        started_at=now,
    )
    deadlines.begin(phase_run, pipeline, now=now)
    # What a person said before there was a phase is for the first one.
    seen = tip if position or iteration > 1 else 0
    names = [role.role for role in phase.roles]
    phase_runs.add_phase_run(session, phase_run=phase_run, roles=())
    session.add_all(
        Role(
            phase_run_id=phase_run.id,
            role=name,
            position=place,
            cursor=seen,
            handled_message=seen,
            updated_at=now,
        )
        for place, name in enumerate(names)
    )
    session.flush()
    text = f"{phase.name} starts with {', '.join(names)}"
    journal.record(session, "phase.started", text, now=now, pipeline=pipeline, phase_run=phase_run)
    return phase_run


def lock_epoch(session: Session, *, phase_run_id: UUID, now: datetime) -> Epoch:
    """Lock a phase run, its pipeline first."""
    unlocked = phase_runs.get_phase_run(session, phase_run_id=phase_run_id)
    pipeline = pipelines.lock_pipeline(session, pipeline_id=unlocked.pipeline_id)
    phase_run = phase_runs.lock_phase_run(session, phase_run_id=phase_run_id)
    return Epoch(pipeline, phase_run, now)


def evaluate(session: Session, *, phase_run_id: UUID, now: datetime) -> None:
    """Decide until there is nothing to do but wait; safe at any time, any number of times."""
    settle(session, lock_epoch(session, phase_run_id=phase_run_id, now=now))


def settle(session: Session, epoch: Epoch) -> None:
    """The same for an epoch whose locks the caller holds and whose rows it has just changed."""
    session.flush()
    for _ in range(MAX_VERDICTS):
        if epoch.phase_run.status not in LIVE_PHASES or epoch.pipeline.status is PipelineStatus.PAUSED:
            break
        verdict = decide(snapshot_of(session, epoch))
        deadlines.follow(epoch, verdict)
        _apply(session, epoch, verdict)
        session.flush()
        if isinstance(verdict, Wait):
            break
    else:
        raise RuntimeError(f"phase run {epoch.phase_run.id} does not come to rest")


def snapshot_of(session: Session, epoch: Epoch) -> Snapshot:
    """The epoch as `decide` sees it; notes up to where its facts were read.

    `JustAwake` while deadlines may be about to move, since the machine has slept.
    """
    phase_run = epoch.phase_run
    snapshot, last_message, ticked_at = load_snapshot(
        session,
        pipeline=epoch.pipeline,
        phase_run=phase_run,
        policy=epoch.policy,
        now=epoch.now,
    )
    sleep.refuse(ticked_at=ticked_at, now=epoch.now)
    phase_run.evaluated_facts, phase_run.evaluated_message = phase_run.facts, last_message
    return snapshot


def end(session: Session, epoch: Epoch, status: PhaseStatus) -> None:
    """End the epoch: from here on every write of its agents is stale."""
    phase_run = epoch.phase_run
    move_to(phase_run, status)
    phase_run.ended_at = epoch.now
    phase_run.why = "" if status is PhaseStatus.COMPLETE else phase_run.why
    phase_run.next_evaluation_at = None
    for version in versions.list_versions(session, phase_run_id=phase_run.id):
        if version.merge_status in {MergeStatus.PENDING, MergeStatus.MERGING}:
            merge_to(version, MergeStatus.SUPERSEDED)
    check = versions.find_running_check(session, phase_run_id=phase_run.id)
    if check is not None:
        move_to(check, CheckStatus.ERROR)
        check.ended_at = epoch.now


def restart(session: Session, epoch: Epoch) -> None:
    """Supersede the phase run and begin the next of the same phase, in one transaction."""
    old = epoch.phase_run
    verdicts.cancel_runs(session, epoch)
    verdicts.cancel_decisions(session, old)
    verdicts.leave_rebase(session, epoch, is_over=False)
    end(session, epoch, PhaseStatus.SUPERSEDED)
    # The live-phase index must see the old run ended before the new one begins.
    session.flush()
    epoch.phase_run = begin(
        session,
        pipeline=epoch.pipeline,
        position=old.position,
        now=epoch.now,
        iteration=old.iteration + 1,
        iterations_used=old.iterations_used,
        feedback=old.feedback,
    )
    epoch.phase_run.iterations_used = old.iterations_used
    if epoch.pipeline.status is PipelineStatus.AWAITING_HUMAN:
        move_to(epoch.pipeline, PipelineStatus.RUNNING)


def cancel(session: Session, epoch: Epoch, status: PipelineStatus, *, why: str) -> None:
    """End a pipeline with its epoch, its runs and its questions, in one transaction."""
    epoch.phase_run.why = why
    verdicts.cancel_runs(session, epoch)
    verdicts.cancel_decisions(session, epoch.phase_run)
    verdicts.leave_rebase(session, epoch, is_over=True)
    end(session, epoch, PhaseStatus.CANCELLED)
    left = receipts.unhandled(session, phase_run=epoch.phase_run)
    finish(session, epoch.pipeline, status, why=why + receipts.sentence(left), now=epoch.now)


def finish(session: Session, pipeline: Pipeline, status: PipelineStatus, *, why: str, now: datetime) -> None:
    """Write a pipeline's bad end and tell it."""
    move_to(pipeline, status)
    pipeline.why, pipeline.ended_at = why, now
    kind = "pipeline.cancelled" if status is PipelineStatus.CANCELLED else "pipeline.failed"
    journal.record(session, kind, f"pipeline {pipeline.id} is {status}: {why}", now=now, pipeline=pipeline)


def _apply(session: Session, epoch: Epoch, verdict: Verdict) -> None:
    match verdict:
        case Wait():
            verdicts.wait(epoch, verdict)
        case Dispatch():
            verdicts.dispatch(session, epoch, verdict)
        case Integrate() | Rebase():
            verdicts.integrate(session, epoch, verdict)
        case Check():
            verdicts.check(session, epoch, verdict)
        case Drop():
            verdicts.drop(session, epoch, verdict)
        case Converge() | Nudge() | StopRun() | Ask(kind=DecisionKind.DEADLINE):
            deadlines.apply(session, epoch, verdict)
        case Ask():
            verdicts.ask(session, epoch, verdict)
        case Close() | Fail():
            verdicts.close(session, epoch, verdict)
        case Restart() | Cancel() | Advance() | Iterate():
            _leave(session, epoch, verdict)


def _leave(session: Session, epoch: Epoch, verdict: Restart | Cancel | Advance | Iterate) -> None:
    """End the epoch, and start what follows."""
    match verdict:
        case Restart():
            restart(session, epoch)
        case Cancel():
            cancel(session, epoch, PipelineStatus.CANCELLED, why=verdict.why)
        case Advance():
            _advance(session, epoch, verdict)
        case Iterate():
            _iterate(session, epoch, verdict)


def _iterate(session: Session, epoch: Epoch, verdict: Iterate) -> None:
    """End a closing phase run that has not converged and begin its phase's next iteration."""
    old = epoch.phase_run
    verdicts.cancel_decisions(session, old)
    end(session, epoch, PhaseStatus.COMPLETE)
    old.why = convergence.sentence(verdict.shortfalls)
    text = f"{old.phase} goes on with iteration {old.iterations_used + 1}: {old.why}"
    _tell_end(session, epoch, "phase.completed", text)
    # The live-phase index must see the old run ended before the new one begins.
    session.flush()
    epoch.phase_run = begin(
        session,
        pipeline=epoch.pipeline,
        position=old.position,
        now=epoch.now,
        iteration=old.iteration + 1,
        iterations_used=old.iterations_used + 1,
        feedback=convergence.feedback(verdict.shortfalls),
    )


def _end_advancing(session: Session, epoch: Epoch, verdict: Advance) -> bool:
    """End a phase run that no iteration follows, and tell how; whether it ended well."""
    phase_run = epoch.phase_run
    if phase_run.stop_reason is None:
        end(session, epoch, PhaseStatus.FAILED)
        _tell_end(session, epoch, "phase.failed", f"{phase_run.phase} failed: {phase_run.why}")
        return False
    end(session, epoch, PhaseStatus.COMPLETE)
    text = f"{phase_run.phase} is complete"
    if verdict.unmet:
        phase_run.stop_reason = StopReason.MAX_ITERATIONS
        phase_run.why = convergence.sentence(verdict.unmet)
        text += f" without converging in {focus.iterations(phase_run.iterations_used)}: {phase_run.why}"
    else:
        text += f": {phase_run.stop_reason}"
    _tell_end(session, epoch, "phase.completed", text)
    return True


def _tell_end(session: Session, epoch: Epoch, kind: str, text: str) -> None:
    """Tell how a phase run ended, and which messages nobody has handled."""
    left = receipts.unhandled(session, phase_run=epoch.phase_run)
    text += receipts.sentence(left)
    journal.record(
        session,
        kind,
        text,
        now=epoch.now,
        pipeline=epoch.pipeline,
        phase_run=epoch.phase_run,
        details={"unhandled": left},
    )


def _advance(session: Session, epoch: Epoch, verdict: Advance) -> None:
    """End a closing phase run and start what follows, in one transaction."""
    phase_run, pipeline, now = epoch.phase_run, epoch.pipeline, epoch.now
    is_good = _end_advancing(session, epoch, verdict)
    if is_good and phase_run.position + 1 < len(pipeline.definition.phases):
        # The live-phase index must see the old run ended before the new one begins.
        session.flush()
        epoch.phase_run = begin(session, pipeline=pipeline, position=phase_run.position + 1, now=now)
        return
    verdicts.leave_rebase(session, epoch, is_over=True)
    move_to(pipeline, PipelineStatus.COMPLETE if is_good else PipelineStatus.FAILED)
    pipeline.ended_at = now
    pipeline.why = _lacks(session, pipeline) if is_good else phase_run.why
    why = f": {pipeline.why}" if is_good and pipeline.why else ""
    journal.record(
        session,
        "pipeline.completed" if is_good else "pipeline.failed",
        f"pipeline {pipeline.id} is {pipeline.status}{why}",
        now=now,
        pipeline=pipeline,
    )


def _lacks(session: Session, pipeline: Pipeline) -> str | None:
    """What the phases that did not converge still lack; None where all did."""
    rows = phase_runs.list_phase_runs(session, pipeline_id=pipeline.id)
    return (
        "; ".join(
            f"{row.phase} did not converge in {focus.iterations(row.iterations_used)}: {row.why}"
            for row in rows
            if row.stop_reason is StopReason.MAX_ITERATIONS
        )
        or None
    )
