"""Steps: what each step that `decide` answers writes. The caller holds the locks of its epoch."""

from datetime import timedelta

from egg_tasks import outbox
from egg_tasks.outbox import Notice, RebaseKey, Runs, RunToSend, VersionKey
from egg_tasks.services.bus import events, receipts
from egg_tasks.services.engine import bases, deadlines, epochs, failures, queued_runs
from egg_tasks.services.engine.epochs import Epoch
from models.consensus import convergence
from models.consensus.step import (
    Advance,
    Ask,
    Cancel,
    Close,
    Converge,
    DecisionKind,
    Dispatch,
    Drop,
    Fail,
    Integrate,
    IntegrateBase,
    Iterate,
    Nudge,
    Restart,
    RunCheck,
    Step,
    StopRun,
    Wait,
)
from models.events import EventType
from models.foreign import counted
from models.queries import agent_runs, decisions, phase_runs, rebases, versions
from models.schemas.message import MessageType
from models.states import (
    MergeStatus,
    PhaseStatus,
    PipelineStatus,
    RebaseStatus,
    RunStatus,
    StopReason,
)
from models.tables import Decision, merge_to, move_to

CLOSING_GRACE = timedelta(seconds=10)


def write(epoch: Epoch, step: Step) -> None:  # noqa: C901, PLR0912 - one case for each step
    """Write a step."""
    match step:
        case Wait():
            _wait(epoch, step)
        case Dispatch():
            _send(epoch, *(queued_runs.of_role(epoch, each) for each in step.assignments))
        case Integrate():
            _integrate(epoch, step)
        case IntegrateBase():
            _rebase(epoch, step)
        case RunCheck():
            _send(epoch, queued_runs.of_check(epoch, step.commit))
        case Drop():
            _drop(epoch, step)
        case Ask():
            _ask(epoch, step)
            if step.kind is DecisionKind.DEADLINE:
                _finalize(epoch)
        case Converge():
            _converge(epoch)
        case Nudge():
            _nudge(epoch, step.role)
        case StopRun():
            _stop(epoch, step)
        case Close() | Fail():
            _close(epoch, step)
        case Restart():
            restart(epoch)
        case Cancel():
            cancel(epoch, PipelineStatus.CANCELLED, why=step.why)
        case Iterate():
            _iterate(epoch, step)
        case Advance():
            _advance(epoch, step)


def _wait(epoch: Epoch, step: Wait) -> None:
    """Note what the phase waits for, and whether that is a person."""
    phase_run, pipeline = epoch.phase_run, epoch.pipeline
    phase_run.why = step.why
    phase_run.next_evaluation_at = step.until
    if phase_run.status is not PhaseStatus.CLOSING:
        move_to(phase_run, PhaseStatus.AWAITING_HUMAN if step.on_person else PhaseStatus.RUNNING)
    move_to(pipeline, PipelineStatus.AWAITING_HUMAN if step.on_person else PipelineStatus.RUNNING)


def _send(epoch: Epoch, *runs: RunToSend) -> None:
    outbox.of(epoch.session).add(Runs(epoch.phase_run.id, runs))


def _integrate(epoch: Epoch, step: Integrate) -> None:
    """Put the merge of a version, or of the present base, under way."""
    phase_run_id = epoch.phase_run.id
    version = versions.find_version(
        epoch.session, phase_run_id=phase_run_id, role=step.role, number=step.version
    )
    assert version is not None, "decide names versions of the snapshot"  # noqa: S101
    merge_to(version, MergeStatus.MERGING)
    version.send_after = epoch.now + queued_runs.RESEND_AFTER
    key = VersionKey(phase_run_id, step.role, step.version, epoch.pipeline.id)
    outbox.of(epoch.session).add(key)


def _drop(epoch: Epoch, step: Drop) -> None:
    """Let the phase go on without a role, and tell the others."""
    role = phase_runs.get_role(epoch.session, phase_run_id=epoch.phase_run.id, role=step.role)
    role.is_dropped = True
    receipts.bounce(epoch.session, phase_run=epoch.phase_run, role=role, now=epoch.now)
    epoch.announce(MessageType.AGENT_FAILED, step.why)


def _ask(epoch: Epoch, step: Ask) -> None:
    """Put a question to a person."""
    decision = Decision(
        pipeline_id=epoch.pipeline.id,
        phase_run_id=epoch.phase_run.id,
        key=step.key,
        kind=step.kind,
        question=step.question,
        options=list(step.options),
        default=step.default,
        is_free=step.is_free,
        deadline=step.deadline,
        roles=list(step.roles),
        created_at=epoch.now,
        notify_after=epoch.now,
    )
    decisions.add_decision(epoch.session, decision=decision)
    outbox.of(epoch.session).add(Notice(decision.id, 1, epoch.pipeline.id))
    if step.kind is DecisionKind.FAILURES:
        _stop_all(epoch, decision, why=step.happened)
    failed = failures.of_decisions(epoch.session, [decision]).get(decision.id, ())
    details: dict[str, object] = {"failures": [each.model_dump(mode="json") for each in failed]}
    text = f"decision {decision.id}: {step.question}"
    epoch.tell(EventType.DECISION_CREATED, text, details=details if failed else None)


def _close(epoch: Epoch, step: Close | Fail) -> None:
    """Close the phase run for good: nothing more is dispatched or merged, and the agents are to end."""
    phase_run = epoch.phase_run
    move_to(phase_run, PhaseStatus.CLOSING)
    phase_run.closing_at = epoch.now
    phase_run.next_evaluation_at = None
    if epoch.pipeline.status is PipelineStatus.AWAITING_HUMAN:
        move_to(epoch.pipeline, PipelineStatus.RUNNING)
    if isinstance(step, Fail):
        phase_run.why = step.why
    else:
        phase_run.stop_reason = step.reason
        epoch.tell(EventType.CONSENSUS_REACHED, f"{phase_run.phase} closes: {step.reason}")
    epochs.cancel_decisions(epoch)
    bases.leave(epoch.session, epoch.phase_run, is_over=False, now=epoch.now)
    for run in agent_runs.lock_unclosed_agent_runs(epoch.session, phase_run_id=phase_run.id):
        deadline = epoch.now if run.status is RunStatus.QUEUED else epoch.now + CLOSING_GRACE
        run.stop_at = min(run.stop_at or deadline, deadline)


def _rebase(epoch: Epoch, step: IntegrateBase) -> None:
    row = rebases.find_rebase(epoch.session, number=step.number)
    assert row is not None, "decide names rebases of the snapshot"  # noqa: S101
    move_to(row, RebaseStatus.MERGING)
    row.send_after = epoch.now + queued_runs.RESEND_AFTER
    outbox.of(epoch.session).add(RebaseKey(row.pipeline_id, row.id))


def _stop_all(epoch: Epoch, question: Decision, *, why: str) -> None:
    """Ask every agent of the phase run to end, and withdraw the questions about single ones."""
    epochs.cancel_decisions(epoch, but=question)
    for run in agent_runs.lock_unclosed_agent_runs(epoch.session, phase_run_id=epoch.phase_run.id):
        run.stop_at, run.is_cut_short = epoch.now, run.stopped_for is None
    epoch.tell(EventType.PHASE_FAILED, f"{epoch.phase_run.phase} stops: {why}")


def _converge(epoch: Epoch) -> None:
    phase_run, by = epoch.phase_run, epoch.now + epoch.policy.finalize
    phase_run.converge_at, phase_run.hard_deadline_at = epoch.now, by
    text = f"The phase takes too long. {deadlines.ASKED} by {deadlines.moment(by)}"
    epoch.announce(MessageType.CONVERGE, text, metadata={"by": deadlines.moment(by)})
    for run in epoch.lock_live_runs():
        run.converge_at = epoch.now
    text = f"{phase_run.phase} is asked to converge by {deadlines.moment(by)}"
    epoch.tell(EventType.CONVERGENCE_REQUESTED, text)


def _nudge(epoch: Epoch, role: str) -> None:
    by = epoch.now + epoch.policy.finalize
    text = f"You have not been active for long. {deadlines.ASKED} by {deadlines.moment(by)}"
    epoch.announce(MessageType.CONVERGE, text, metadata={"by": deadlines.moment(by)}, to_role=role)
    for run in epoch.lock_live_runs(role):
        run.converge_at = epoch.now
        text = f"{events.label(run)} is idle and is asked to converge by {deadlines.moment(by)}"
        epoch.tell(EventType.CONVERGENCE_REQUESTED, text, run=run)


def _stop(epoch: Epoch, step: StopRun) -> None:
    for run in epoch.lock_live_runs(step.role):
        run.stop_at, run.stopped_for = epoch.now, step.why


def _finalize(epoch: Epoch) -> None:
    """Stop the agents, since a person is asked: those that run have a last grace."""
    ends_at = epoch.now + epoch.policy.verdict_grace
    text = f"The time is up. {deadlines.ASKED}: agents are stopped at {deadlines.moment(ends_at)}"
    epoch.announce(MessageType.FINALIZE, text, metadata={"by": deadlines.moment(ends_at)})
    for run in epoch.lock_live_runs():
        stop_at = epoch.now if run.status is RunStatus.QUEUED else ends_at
        run.stop_at = min(run.stop_at or stop_at, stop_at)
        run.is_cut_short = run.stopped_for is None


def renew(epoch: Epoch) -> None:
    """Give the phase run a whole new period; agents that are not yet stopped go on."""
    deadlines.begin_period(epoch.phase_run, epoch.policy, now=epoch.now)
    for run in epoch.lock_live_runs():
        is_undone = run.is_cut_short and run.verdict is None
        if is_undone and run.stop_at is not None and run.stop_at > epoch.now:
            run.stop_at, run.is_cut_short, run.converge_at = None, False, None


def restart(epoch: Epoch) -> None:
    """Supersede the phase run and begin the next of the same phase, in one transaction."""
    old = epoch.phase_run
    epochs.cancel_runs(epoch)
    epochs.cancel_decisions(epoch)
    bases.leave(epoch.session, epoch.phase_run, is_over=False, now=epoch.now)
    epochs.end(epoch, PhaseStatus.SUPERSEDED)
    epochs.begin_again(epoch, iterations_used=old.iterations_used, feedback=old.feedback)
    if epoch.pipeline.status is PipelineStatus.AWAITING_HUMAN:
        move_to(epoch.pipeline, PipelineStatus.RUNNING)


def cancel(epoch: Epoch, status: PipelineStatus, *, why: str) -> None:
    """End a pipeline with its epoch, its runs and its questions, in one transaction."""
    epoch.phase_run.why = why
    epochs.cancel_runs(epoch)
    epochs.cancel_decisions(epoch)
    bases.leave(epoch.session, epoch.phase_run, is_over=True, now=epoch.now)
    epochs.end(epoch, PhaseStatus.CANCELLED)
    left = receipts.unhandled(epoch.session, phase_run=epoch.phase_run)
    epochs.finish(epoch.session, epoch.pipeline, status, why=why + receipts.sentence(left), now=epoch.now)


def _iterate(epoch: Epoch, step: Iterate) -> None:
    """End a closing phase run that has not converged and begin its phase's next iteration."""
    old = epoch.phase_run
    epochs.cancel_decisions(epoch)
    epochs.end(epoch, PhaseStatus.COMPLETE)
    old.why = convergence.sentence(step.shortfalls)
    text = f"{old.phase} goes on with iteration {old.iterations_used + 1}: {old.why}"
    _tell_end(epoch, EventType.PHASE_COMPLETED, text)
    feedback = convergence.feedback(step.shortfalls)
    epochs.begin_again(epoch, iterations_used=old.iterations_used + 1, feedback=feedback)


def _end_advancing(epoch: Epoch, step: Advance) -> bool:
    """End a phase run that no iteration follows, and tell how; whether it ended well."""
    phase_run = epoch.phase_run
    if phase_run.stop_reason is None:
        epochs.end(epoch, PhaseStatus.FAILED)
        _tell_end(epoch, EventType.PHASE_FAILED, f"{phase_run.phase} failed: {phase_run.why}")
        return False
    epochs.end(epoch, PhaseStatus.COMPLETE)
    text = f"{phase_run.phase} is complete"
    if step.unmet:
        phase_run.stop_reason = StopReason.MAX_ITERATIONS
        phase_run.why = convergence.sentence(step.unmet)
        text += f" without converging in {counted(phase_run.iterations_used, 'iteration')}: {phase_run.why}"
    else:
        text += f": {phase_run.stop_reason}"
    _tell_end(epoch, EventType.PHASE_COMPLETED, text)
    return True


def _tell_end(epoch: Epoch, kind: EventType, text: str) -> None:
    """Tell how a phase run ended, and which messages nobody has handled."""
    left = receipts.unhandled(epoch.session, phase_run=epoch.phase_run)
    text += receipts.sentence(left)
    epoch.tell(kind, text, details={"unhandled": left})


def _advance(epoch: Epoch, step: Advance) -> None:
    """End a closing phase run and start what follows, in one transaction."""
    phase_run, pipeline, now = epoch.phase_run, epoch.pipeline, epoch.now
    is_good = _end_advancing(epoch, step)
    if is_good and phase_run.position + 1 < len(pipeline.definition.phases):
        epochs.begin_next(epoch)
        return
    bases.leave(epoch.session, epoch.phase_run, is_over=True, now=epoch.now)
    move_to(pipeline, PipelineStatus.COMPLETE if is_good else PipelineStatus.FAILED)
    pipeline.ended_at = now
    pipeline.why = _lacks(epoch) if is_good else phase_run.why
    why = f": {pipeline.why}" if is_good and pipeline.why else ""
    events.record(
        epoch.session,
        EventType.PIPELINE_COMPLETED if is_good else EventType.PIPELINE_FAILED,
        f"pipeline {pipeline.id} is {pipeline.status}{why}",
        now=now,
        pipeline=pipeline,
    )


def _lacks(epoch: Epoch) -> str | None:
    """What the phases that did not converge still lack; None where all did."""
    rows = phase_runs.list_phase_runs(epoch.session, pipeline_id=epoch.pipeline.id)
    return (
        "; ".join(
            f"{row.phase} did not converge in {counted(row.iterations_used, 'iteration')}: {row.why}"
            for row in rows
            if row.stop_reason is StopReason.MAX_ITERATIONS
        )
        or None
    )
