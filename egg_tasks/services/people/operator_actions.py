"""Orders: what a person has done to one agent, or to a phase, unasked."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Runs, RunToSend
from egg_tasks.services.bus import events
from egg_tasks.services.engine import epochs, evaluation, steps
from egg_tasks.services.engine.epochs import Epoch
from egg_tasks.services.people import decisions
from models.consensus.step import ACCEPT, RETRY, DecisionKind
from models.errors import Conflict
from models.events import EventType
from models.queries import agent_runs, phase_runs, pipelines
from models.queries import decisions as decision_rows
from models.states import LIVE_RUNS, Failure, PhaseStatus, RunStatus
from models.tables import AgentRun

ABOUT_A_ROLE = frozenset({DecisionKind.FAILURE, DecisionKind.BOUND, DecisionKind.STALL, DecisionKind.CHECK})
"""Questions that an order to retry one of their roles answers."""
AT_WORK = frozenset({PhaseStatus.RUNNING, PhaseStatus.AWAITING_HUMAN})


def stop(session: Session, *, pipeline_id: str, run_id: UUID, now: datetime) -> None:
    """Stop a live run; its work is kept and it has failed. Stopping it twice is no mistake."""
    epoch, run = _lock(session, pipeline_id, run_id, now)
    if run.status not in LIVE_RUNS:
        raise Conflict(
            f"{events.label(run)} is over already: {run.status}; see `egg agent list {pipeline_id}`",
            {"status": str(run.status)},
        )
    if run.stopped_for is None:
        run.stopped_for = Failure.STOPPED
        epoch.tell(EventType.AGENT_STOPPING, f"a person stops {events.label(run)}", run=run)
    run.stop_at, run.send_after = min(run.stop_at or now, now), min(run.send_after, now)
    if run.status is RunStatus.QUEUED:
        # Nobody attends it yet: a worker takes it, and finds that it is to end.
        to_send = RunToSend(run.id, pipeline_id, epoch.phase_run.phase, run.role or "check", run.node)
        outbox.of(session).add(Runs(epoch.phase_run.id, (to_send,)))


def retry(session: Session, *, pipeline_id: str, run_id: UUID, now: datetime) -> None:
    """Give the role of a run that is over one more run; a question about the role is answered by it."""
    epoch, run = _lock(session, pipeline_id, run_id, now)
    role = _role_to_retry(session, epoch, run)
    for decision in decision_rows.list_decisions(session, phase_run_id=epoch.phase_run.id, is_pending=True):
        if role in decision.roles and decision.kind in ABOUT_A_ROLE and RETRY in decision.options:
            decisions.resolve(session, decision_id=decision.id, resolution=RETRY, now=now)
            return
        if not decision.roles and decision.kind is not DecisionKind.QUESTION:
            raise Conflict(
                f"decision {decision.id} is about the whole phase and comes first: {decision.question}",
                {"decision": decision.id},
            )
    decisions.order(epoch, RETRY, role=role)


def restart_phase(session: Session, *, pipeline_id: str, phase: str, now: datetime) -> None:
    """Supersede the current phase run and start its phase anew; only the current phase can be restarted."""
    epoch = _lock_current(session, pipeline_id, phase, now)
    steps.restart(epoch)
    evaluation.settle(epoch)


def advance_phase(session: Session, *, pipeline_id: str, phase: str, now: datetime) -> None:
    """Accept the current state of the current phase, as a person who was not asked."""
    epoch = _lock_current(session, pipeline_id, phase, now)
    if epoch.phase_run.status is PhaseStatus.CLOSING:
        reason = epoch.phase_run.stop_reason or epoch.phase_run.why
        raise Conflict(
            f"{phase} is closing already ({reason}); what it waits for: egg why {pipeline_id}",
            {"phase_status": str(epoch.phase_run.status)},
        )
    decisions.order(epoch, ACCEPT)


def _role_to_retry(session: Session, epoch: Epoch, run: AgentRun) -> str:
    """The role of the run, if it may run again by a person's word."""
    if run.role is None:
        raise Conflict("a check plays no role: it is run again when its owner has given a new version")
    live = phase_runs.find_live_phase_run(session, pipeline_id=epoch.pipeline.id)
    if live is None or live.id != run.phase_run_id or live.status not in AT_WORK:
        raise Conflict(
            f"{events.label(run)} belongs to iteration {epoch.phase_run.iteration} of "
            f"{epoch.phase_run.phase}, which is {epoch.phase_run.status}: nothing more is started in it",
            {"status": str(epoch.phase_run.status)},
        )
    role = phase_runs.get_role(session, phase_run_id=live.id, role=run.role)
    if role.is_dropped:
        raise Conflict(f"the phase goes on without {role.role}; restart it: egg phase restart")
    for other in agent_runs.list_agent_runs(session, pipeline_id=epoch.pipeline.id, phase_run_id=live.id):
        if other.role == role.role and other.status in LIVE_RUNS:
            raise Conflict(
                f"{events.label(other)} is {other.status}; stop it first: "
                f"egg agent stop {epoch.pipeline.id} {role.role}",
                {"run": str(other.id), "status": str(other.status)},
            )
    return role.role


def _lock(session: Session, pipeline_id: str, run_id: UUID, now: datetime) -> tuple[Epoch, AgentRun]:
    unlocked = agent_runs.get_agent_run_of(session, pipeline_id=pipeline_id, run_id=run_id)
    epoch = epochs.lock(session, phase_run_id=unlocked.phase_run_id, now=now)
    return epoch, agent_runs.lock_agent_run(session, run_id=run_id)


def _lock_current(session: Session, pipeline_id: str, phase: str, now: datetime) -> Epoch:
    """The current phase run, locked; `Conflict` when it is of another phase."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline_id)
    if phase_run is None or phase_run.phase != phase:
        current = f"it is in {phase_run.phase}" if phase_run else f"it is {pipeline.status}"
        raise Conflict(
            f"pipeline {pipeline_id} is not in phase {phase}: {current}",
            {"phase": phase_run.phase if phase_run else None, "status": str(pipeline.status)},
        )
    return epochs.lock(session, phase_run_id=phase_run.id, now=now)
