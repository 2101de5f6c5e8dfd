"""Queued runs: the rows of runs that are due now, of a role or of a phase's check."""

from datetime import timedelta

from egg_tasks.outbox import RunToSend
from egg_tasks.services.bus import events
from egg_tasks.services.engine.epochs import Epoch
from models.consensus.step import Assignment, CauseKind
from models.events import EventType
from models.queries import agent_runs, phase_runs, versions
from models.states import CheckStatus, RunStatus
from models.tables import AgentRun, Check, PhaseRun, move_to

RESEND_AFTER = timedelta(seconds=5)


def of_role(epoch: Epoch, assignment: Assignment) -> RunToSend:
    """Add the agent run of a role that is due, and tell of it."""
    role = phase_runs.get_role(epoch.session, phase_run_id=epoch.phase_run.id, role=assignment.role)
    role.dispatched += 1
    role.runs += 1
    run = _new_run(epoch, role=role.role, number=role.dispatched)
    run.causes = [str(cause) for cause in assignment.causes]
    run.owes_verdict = any(cause.kind is not CauseKind.MESSAGE for cause in assignment.causes)
    agent_runs.add_agent_run(epoch.session, run=run)
    kinds = ", ".join(dict.fromkeys(cause.kind.value for cause in assignment.causes))
    epoch.tell(EventType.AGENT_QUEUED, f"{events.label(run)} is due: {kinds}", run=run)
    return _to_send(run, epoch.phase_run)


def of_check(epoch: Epoch, commit: str) -> RunToSend:
    """Add the run of the phase's check on a commit: an agent run without a role."""
    phase_run = epoch.phase_run
    number = agent_runs.count_check_runs(epoch.session, phase_run_id=phase_run.id) + 1
    run = _new_run(epoch, role=None, number=number)
    if phase_run.hard_deadline_at is not None and phase_run.hard_deadline_at <= epoch.now:
        run.stop_at = epoch.now + epoch.policy.finalize
    agent_runs.add_agent_run(epoch.session, run=run)
    row = versions.find_check(epoch.session, phase_run_id=phase_run.id, commit=commit)
    if row is None:
        row = Check(phase_run_id=phase_run.id, commit=commit, status=CheckStatus.RUNNING)
        epoch.session.add(row)
    elif row.status is CheckStatus.RED:
        row.attempts += 1
    move_to(row, CheckStatus.RUNNING)
    row.agent_run_id = run.id
    epoch.session.flush()
    return _to_send(run, phase_run)


def _new_run(epoch: Epoch, *, role: str | None, number: int) -> AgentRun:
    definition, position = epoch.pipeline.definition, epoch.phase_run.position
    isolation = definition.isolation_of(position, role) if role else definition.check_isolation(position)
    return AgentRun(
        pipeline_id=epoch.pipeline.id,
        phase_run_id=epoch.phase_run.id,
        role=role,
        number=number,
        isolation=isolation.runs_as,
        status=RunStatus.QUEUED,
        causes=[],
        created_at=epoch.now,
        send_after=epoch.now + RESEND_AFTER,
    )


def _to_send(run: AgentRun, phase_run: PhaseRun) -> RunToSend:
    return RunToSend(run.id, run.pipeline_id, phase_run.phase, run.role or "check")
