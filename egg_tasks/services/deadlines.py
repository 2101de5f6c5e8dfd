"""Deadlines: a phase run's clock, what is asked of agents when its time is up, or when they do nothing."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.services import journal, verdicts
from egg_tasks.services.verdicts import Epoch
from models.consensus import deadlines as rules
from models.consensus.policy import PhasePolicy
from models.consensus.verdict import Ask, Converge, Nudge, StopRun, Verdict, Wait
from models.queries import agent_runs, phase_runs, pipelines
from models.schemas.message import MessageType
from models.states import LIVE_RUNS, PipelineStatus, RunStatus
from models.tables import AgentRun, PhaseRun, Pipeline

REQUESTED = "convergence.requested"
ASKED = "Write down how far you are, commit, and give your verdict"


def begin(phase_run: PhaseRun, pipeline: Pipeline, *, now: datetime) -> None:
    """Start a phase run's clock, or start it anew; while its pipeline is paused the clock stands."""
    policy = pipeline.definition.phase_policy(phase_run.position)
    if pipeline.status is PipelineStatus.PAUSED:
        stop_clock(phase_run, now=now)
    _begin_period(phase_run, policy, now)


def stop_clock(phase_run: PhaseRun, *, now: datetime) -> None:
    """Let the clock stand still from now on, unless it stands already."""
    phase_run.clock_stopped_at = phase_run.clock_stopped_at or now


def follow(epoch: Epoch, verdict: Verdict) -> None:
    """Let the clock stand still while only a person is waited for, and else go on."""
    phase_run = epoch.phase_run
    if isinstance(verdict, Wait) and verdict.on_person:
        stop_clock(phase_run, now=epoch.now)
    elif phase_run.clock_stopped_at is not None:
        stood = epoch.now - phase_run.clock_stopped_at
        phase_run.clock_stopped_at = None
        phase_run.soft_deadline_at = phase_run.soft_deadline_at and phase_run.soft_deadline_at + stood
        phase_run.hard_deadline_at = phase_run.hard_deadline_at and phase_run.hard_deadline_at + stood


def expect(epoch: Epoch) -> None:
    """Have the phase run evaluated when an agent that starts now may be idle."""
    phase_run, idle_at = epoch.phase_run, epoch.now + epoch.policy.idle_timeout
    phase_run.next_evaluation_at = min(phase_run.next_evaluation_at or idle_at, idle_at)


def extend(epoch: Epoch) -> None:
    """Give a phase that converges more time, since something has arrived; never more than twice its time."""
    phase_run = epoch.phase_run
    soft, hard = phase_run.soft_deadline_at, phase_run.hard_deadline_at
    if soft is not None and hard is not None and hard > _clock(phase_run, epoch.now):
        now = _clock(phase_run, epoch.now)
        phase_run.hard_deadline_at = rules.extended(hard, soft=soft, now=now, policy=epoch.policy)


def renew(session: Session, epoch: Epoch) -> None:
    """Give the phase run a whole new period; agents that are not yet stopped go on."""
    _begin_period(epoch.phase_run, epoch.policy, epoch.now)
    for run in _live(session, epoch):
        is_undone = run.is_cut_short and run.verdict is None
        if is_undone and run.stop_at is not None and run.stop_at > epoch.now:
            run.stop_at, run.is_cut_short, run.converge_at = None, False, None


def apply(session: Session, epoch: Epoch, verdict: Converge | Nudge | StopRun | Ask) -> None:
    """Write what a verdict about time asks for."""
    match verdict:
        case Converge():
            _converge(session, epoch)
        case Nudge(role):
            _nudge(session, epoch, role)
        case StopRun(role, why):
            for run in _live(session, epoch, role):
                run.stop_at, run.stopped_for = epoch.now, why
        case Ask():
            verdicts.ask(session, epoch, verdict)
            _finalize(session, epoch)


def words(session: Session, run: AgentRun) -> str | None:
    """What an agent that reads only its prompt is told by a signal now; None while there is nothing.

    First the kind of the message, then by when, then why; the same as long as nothing new is asked.
    """
    if run.verdict is not None or run.status not in LIVE_RUNS or run.role is None:
        return None
    if run.is_cut_short and run.stop_at is not None:
        return f"{MessageType.FINALIZE}\n{_moment(run.stop_at)}\nThe time is up. {ASKED}.\n"
    if run.converge_at is None:
        return None
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    policy = pipeline.definition.phase_policy(phase_run.position)
    why = "The phase takes too long"
    if phase_run.converge_at != run.converge_at:
        why = "You have not been active for long"
    by = _moment(run.converge_at + policy.finalize)
    return f"{MessageType.CONVERGE}\n{by}\n{why}. {ASKED}.\n"


def _begin_period(phase_run: PhaseRun, policy: PhasePolicy, now: datetime) -> None:
    phase_run.soft_deadline_at = _clock(phase_run, now) + policy.consensus_timeout
    phase_run.converge_at = phase_run.hard_deadline_at = None


def _converge(session: Session, epoch: Epoch) -> None:
    phase_run, by = epoch.phase_run, epoch.now + epoch.policy.finalize
    phase_run.converge_at, phase_run.hard_deadline_at = epoch.now, by
    text = f"The phase takes too long. {ASKED} by {_moment(by)}"
    _announce(session, epoch, MessageType.CONVERGE, text, by=by)
    for run in _live(session, epoch):
        run.converge_at = epoch.now
    verdicts.record(session, epoch, REQUESTED, f"{phase_run.phase} is asked to converge by {_moment(by)}")


def _finalize(session: Session, epoch: Epoch) -> None:
    """Stop the agents, since a person is asked: those that run have a last grace."""
    ends_at = epoch.now + epoch.policy.verdict_grace
    text = f"The time is up. {ASKED}: agents are stopped at {_moment(ends_at)}"
    _announce(session, epoch, MessageType.FINALIZE, text, by=ends_at)
    for run in _live(session, epoch):
        stop_at = epoch.now if run.status is RunStatus.QUEUED else ends_at
        run.stop_at = min(run.stop_at or stop_at, stop_at)
        run.is_cut_short = run.stopped_for is None


def _nudge(session: Session, epoch: Epoch, role: str) -> None:
    by = epoch.now + epoch.policy.finalize
    text = f"You have not been active for long. {ASKED} by {_moment(by)}"
    _announce(session, epoch, MessageType.CONVERGE, text, by=by, to_role=role)
    for run in _live(session, epoch, role):
        run.converge_at = epoch.now
        text = f"{journal.label(run)} is idle and is asked to converge by {_moment(by)}"
        verdicts.record(session, epoch, REQUESTED, text, run)


def _live(session: Session, epoch: Epoch, role: str | None = None) -> Iterator[AgentRun]:
    """The phase run's live runs, of checks too, or those of one role; locked."""
    for run in agent_runs.lock_unclosed_agent_runs(session, phase_run_id=epoch.phase_run.id):
        if run.status in LIVE_RUNS and role in {None, run.role}:
            yield run


def _clock(phase_run: PhaseRun, now: datetime) -> datetime:
    """What the phase run's clock shows."""
    return phase_run.clock_stopped_at or now


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _announce(
    session: Session, epoch: Epoch, kind: MessageType, text: str, *, by: datetime, to_role: str = "all"
) -> None:
    details: dict[str, object] = {"by": _moment(by)}
    journal.announce(
        session, kind, text, now=epoch.now, phase_run=epoch.phase_run, to_role=to_role, metadata=details
    )
