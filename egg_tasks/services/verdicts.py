"""What each verdict of `decide` writes. The caller holds the locks of pipeline and phase run."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Notice, RebaseKey, Runs, RunToSend, VersionKey
from egg_tasks.services import failures, journal, receipts
from models.consensus.policy import PhasePolicy
from models.consensus.verdict import (
    Ask,
    Assignment,
    CauseKind,
    Check,
    Close,
    DecisionKind,
    Dispatch,
    Drop,
    Fail,
    Integrate,
    Rebase,
    Wait,
)
from models.queries import agent_runs, decisions, phase_runs, rebases, versions
from models.schemas.message import MessageType
from models.states import (
    LIVE_RUNS,
    CheckStatus,
    DecisionStatus,
    MergeStatus,
    PhaseStatus,
    PipelineStatus,
    RebaseStatus,
    RunStatus,
)
from models.tables import AgentRun, Decision, PhaseRun, Pipeline, merge_to, move_to
from models.tables import Check as CheckRow

RESEND_AFTER = timedelta(seconds=5)
CLOSING_GRACE = timedelta(seconds=10)


@dataclass
class Epoch:
    """A phase run being moved."""

    pipeline: Pipeline
    phase_run: PhaseRun
    now: datetime

    @property
    def policy(self) -> PhasePolicy:
        """The rules of its phase, as its pipeline pinned them."""
        return self.pipeline.definition.phase_policy(self.phase_run.position)


def wait(epoch: Epoch, verdict: Wait) -> None:
    """Note what the phase waits for, and whether that is a person."""
    phase_run, pipeline = epoch.phase_run, epoch.pipeline
    phase_run.why = verdict.why
    phase_run.next_evaluation_at = verdict.until
    if phase_run.status is not PhaseStatus.CLOSING:
        move_to(phase_run, PhaseStatus.AWAITING_HUMAN if verdict.on_person else PhaseStatus.RUNNING)
    move_to(pipeline, PipelineStatus.AWAITING_HUMAN if verdict.on_person else PipelineStatus.RUNNING)


def dispatch(session: Session, epoch: Epoch, verdict: Dispatch) -> None:
    """Add an agent run for each assignment."""
    runs = tuple(_add_run(session, epoch, assignment) for assignment in verdict.assignments)
    outbox.of(session).add(Runs(epoch.phase_run.id, runs))


def integrate(session: Session, epoch: Epoch, verdict: Integrate | Rebase) -> None:
    """Put the merge of a version, or of the present base, under way."""
    if isinstance(verdict, Rebase):
        _rebase(session, epoch, verdict)
        return
    phase_run_id = epoch.phase_run.id
    version = versions.find_version(
        session, phase_run_id=phase_run_id, role=verdict.role, number=verdict.version
    )
    assert version is not None, "decide names versions of the snapshot"  # noqa: S101
    merge_to(version, MergeStatus.MERGING)
    version.send_after = epoch.now + RESEND_AFTER
    key = VersionKey(phase_run_id, verdict.role, verdict.version, epoch.pipeline.id)
    outbox.of(session).add(key)


def leave_rebase(session: Session, epoch: Epoch, *, is_over: bool) -> None:
    """Put off the merge of the base to the next phase run, or give it up with the pipeline."""
    row = rebases.find_live_rebase(session, pipeline_id=epoch.pipeline.id)
    if row is None:
        return
    if row.status is RebaseStatus.MERGING:
        move_to(row, RebaseStatus.PENDING)
    if is_over:
        move_to(row, RebaseStatus.CANCELLED)
        row.ended_at, row.why = epoch.now, f"{epoch.phase_run.phase} ended before it was merged"


def check(session: Session, epoch: Epoch, verdict: Check) -> None:
    """Start the phase's check on a commit: an agent run without a role."""
    phase_run = epoch.phase_run
    number = agent_runs.count_check_runs(session, phase_run_id=phase_run.id) + 1
    run = _new_run(epoch, role=None, number=number)
    if phase_run.hard_deadline_at is not None and phase_run.hard_deadline_at <= epoch.now:
        run.stop_at = epoch.now + epoch.policy.finalize
    agent_runs.add_agent_run(session, run=run)
    row = versions.find_check(session, phase_run_id=phase_run.id, commit=verdict.commit)
    if row is None:
        row = CheckRow(phase_run_id=phase_run.id, commit=verdict.commit, status=CheckStatus.RUNNING)
        session.add(row)
    elif row.status is CheckStatus.RED:
        row.attempts += 1
    move_to(row, CheckStatus.RUNNING)
    row.agent_run_id = run.id
    session.flush()
    outbox.of(session).add(Runs(phase_run.id, (_to_send(run, phase_run),)))


def drop(session: Session, epoch: Epoch, verdict: Drop) -> None:
    """Let the phase go on without a role, and tell the others."""
    role = phase_runs.get_role(session, phase_run_id=epoch.phase_run.id, role=verdict.role)
    role.is_dropped = True
    receipts.bounce(session, phase_run=epoch.phase_run, role=role, now=epoch.now)
    journal.announce(session, MessageType.AGENT_FAILED, verdict.why, now=epoch.now, phase_run=epoch.phase_run)


def ask(session: Session, epoch: Epoch, verdict: Ask) -> None:
    """Put a question to a person."""
    decision = Decision(
        pipeline_id=epoch.pipeline.id,
        phase_run_id=epoch.phase_run.id,
        key=verdict.key,
        kind=verdict.kind,
        question=verdict.question,
        options=list(verdict.options),
        default=verdict.default,
        is_free=verdict.is_free,
        deadline=verdict.deadline,
        roles=list(verdict.roles),
        created_at=epoch.now,
        notify_after=epoch.now,
    )
    decisions.add_decision(session, decision=decision)
    outbox.of(session).add(Notice(decision.id, 1, epoch.pipeline.id))
    if verdict.kind is DecisionKind.FAILURES:
        _stop_all(session, epoch, decision, why=verdict.happened)
    failed = failures.of_decisions(session, [decision]).get(decision.id, ())
    details: dict[str, object] = {"failures": [each.model_dump(mode="json") for each in failed]}
    text = f"decision {decision.id}: {verdict.question}"
    record(session, epoch, "decision.created", text, details=details if failed else None)


def close(session: Session, epoch: Epoch, verdict: Close | Fail) -> None:
    """Close the phase run for good: nothing more is dispatched or merged, and the agents are to end."""
    phase_run = epoch.phase_run
    move_to(phase_run, PhaseStatus.CLOSING)
    phase_run.closing_at = epoch.now
    phase_run.next_evaluation_at = None
    if epoch.pipeline.status is PipelineStatus.AWAITING_HUMAN:
        move_to(epoch.pipeline, PipelineStatus.RUNNING)
    if isinstance(verdict, Fail):
        phase_run.why = verdict.why
    else:
        phase_run.stop_reason = verdict.reason
        record(session, epoch, "consensus.reached", f"{phase_run.phase} closes: {verdict.reason}")
    cancel_decisions(session, phase_run)
    leave_rebase(session, epoch, is_over=False)
    for run in agent_runs.lock_unclosed_agent_runs(session, phase_run_id=phase_run.id):
        deadline = epoch.now if run.status is RunStatus.QUEUED else epoch.now + CLOSING_GRACE
        run.stop_at = min(run.stop_at or deadline, deadline)


def cancel_decisions(session: Session, phase_run: PhaseRun, *, but: Decision | None = None) -> None:
    """Withdraw the phase run's open questions, all but one."""
    for decision in decisions.list_decisions(session, phase_run_id=phase_run.id, is_pending=True):
        if decision is not but:
            move_to(decision, DecisionStatus.CANCELLED)
            decision.notify_after = None


def cancel_runs(session: Session, epoch: Epoch) -> None:
    """End an epoch's runs in the rows; their processes are stopped and their work saved afterwards."""
    for run in agent_runs.lock_unclosed_agent_runs(session, phase_run_id=epoch.phase_run.id):
        if run.status in LIVE_RUNS:
            has_nothing = run.status is RunStatus.QUEUED and run.node is None
            move_to(run, RunStatus.CANCELLED)
            run.ended_at = run.stop_at = run.send_after = epoch.now
            # What no worker ever had has no process to stop and no work to save.
            run.closed_at = epoch.now if has_nothing else None


def _rebase(session: Session, epoch: Epoch, verdict: Rebase) -> None:
    row = rebases.find_rebase(session, number=verdict.number)
    assert row is not None, "decide names rebases of the snapshot"  # noqa: S101
    move_to(row, RebaseStatus.MERGING)
    row.send_after = epoch.now + RESEND_AFTER
    outbox.of(session).add(RebaseKey(row.pipeline_id, row.id))


def _stop_all(session: Session, epoch: Epoch, question: Decision, *, why: str) -> None:
    """Ask every agent of the phase run to end, and withdraw the questions about single ones."""
    cancel_decisions(session, epoch.phase_run, but=question)
    for run in agent_runs.lock_unclosed_agent_runs(session, phase_run_id=epoch.phase_run.id):
        run.stop_at, run.is_cut_short = epoch.now, run.stopped_for is None
    record(session, epoch, "phase.failed", f"{epoch.phase_run.phase} stops: {why}")


def _add_run(session: Session, epoch: Epoch, assignment: Assignment) -> RunToSend:
    role = phase_runs.get_role(session, phase_run_id=epoch.phase_run.id, role=assignment.role)
    role.dispatched += 1
    role.runs += 1
    run = _new_run(epoch, role=role.role, number=role.dispatched)
    run.causes = [str(cause) for cause in assignment.causes]
    run.owes_verdict = any(cause.kind is not CauseKind.MESSAGE for cause in assignment.causes)
    agent_runs.add_agent_run(session, run=run)
    kinds = ", ".join(dict.fromkeys(cause.kind.value for cause in assignment.causes))
    record(session, epoch, "agent.queued", f"{journal.label(run)} is due: {kinds}", run)
    return _to_send(run, epoch.phase_run)


def _new_run(epoch: Epoch, *, role: str | None, number: int) -> AgentRun:
    return AgentRun(
        pipeline_id=epoch.pipeline.id,
        phase_run_id=epoch.phase_run.id,
        role=role,
        number=number,
        status=RunStatus.QUEUED,
        causes=[],
        created_at=epoch.now,
        send_after=epoch.now + RESEND_AFTER,
    )


def _to_send(run: AgentRun, phase_run: PhaseRun) -> RunToSend:
    return RunToSend(run.id, run.pipeline_id, phase_run.phase, run.role or "check")


def record(
    session: Session,
    epoch: Epoch,
    kind: str,
    text: str,
    run: AgentRun | None = None,
    *,
    details: dict[str, object] | None = None,
) -> None:
    """Tell an event of an epoch, or of one of its runs."""
    journal.record(
        session,
        kind,
        text,
        now=epoch.now,
        pipeline=epoch.pipeline,
        phase_run=epoch.phase_run,
        role=run.role if run else None,
        run_id=run.id if run else None,
        details=details,
    )
