"""Deadlines: a phase run's clock, and what an agent is told of it that reads only its prompt."""

from datetime import datetime

from sqlalchemy.orm import Session

from models.consensus import deadlines as rules
from models.consensus.policy import PhasePolicy
from models.consensus.step import Step, Wait
from models.queries import phase_runs, pipelines
from models.schemas.message import MessageType
from models.schemas.summons import Summons, Why
from models.states import LIVE_RUNS, PipelineStatus
from models.tables import AgentRun, PhaseRun, Pipeline

ASKED = "Write down how far you are, commit, and give your verdict"


def begin(phase_run: PhaseRun, pipeline: Pipeline, *, now: datetime) -> None:
    """Start a phase run's clock, or start it anew; while its pipeline is paused the clock stands."""
    policy = pipeline.definition.phase_policy(phase_run.position)
    if pipeline.status is PipelineStatus.PAUSED:
        stop_clock(phase_run, now=now)
    begin_period(phase_run, policy, now=now)


def begin_period(phase_run: PhaseRun, policy: PhasePolicy, *, now: datetime) -> None:
    """Give the phase run a whole new period."""
    phase_run.soft_deadline_at = _clock(phase_run, now) + policy.consensus_timeout
    phase_run.converge_at = phase_run.hard_deadline_at = None


def stop_clock(phase_run: PhaseRun, *, now: datetime) -> None:
    """Let the clock stand still from now on, unless it stands already."""
    phase_run.clock_stopped_at = phase_run.clock_stopped_at or now


def follow(phase_run: PhaseRun, step: Step, *, now: datetime) -> None:
    """Let the clock stand still while only a person is waited for, and else go on."""
    if isinstance(step, Wait) and step.on_person:
        stop_clock(phase_run, now=now)
    elif phase_run.clock_stopped_at is not None:
        stood = now - phase_run.clock_stopped_at
        phase_run.clock_stopped_at = None
        phase_run.soft_deadline_at = phase_run.soft_deadline_at and phase_run.soft_deadline_at + stood
        phase_run.hard_deadline_at = phase_run.hard_deadline_at and phase_run.hard_deadline_at + stood


def expect(phase_run: PhaseRun, policy: PhasePolicy, *, now: datetime) -> None:
    """Have the phase run evaluated when an agent that starts now may be idle."""
    idle_at = now + policy.idle_timeout
    phase_run.next_evaluation_at = min(phase_run.next_evaluation_at or idle_at, idle_at)


def extend(phase_run: PhaseRun, policy: PhasePolicy, *, now: datetime) -> None:
    """Give a phase that converges more time, since something has arrived; never more than twice its time."""
    soft, hard, at = phase_run.soft_deadline_at, phase_run.hard_deadline_at, _clock(phase_run, now)
    if soft is not None and hard is not None and hard > at:
        phase_run.hard_deadline_at = rules.extended(hard, soft=soft, now=at, policy=policy)


def summons(session: Session, run: AgentRun) -> Summons | None:
    """What an agent that reads only its prompt is asked for by a signal now; None while there is nothing."""
    if run.verdict is not None or run.status not in LIVE_RUNS or run.role is None:
        return None
    if run.is_cut_short and run.stop_at is not None:
        return Summons(MessageType.FINALIZE, run.stop_at, Why.TIME)
    if run.converge_at is None:
        return None
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    policy = pipeline.definition.phase_policy(phase_run.position)
    why = Why.PHASE if phase_run.converge_at == run.converge_at else Why.IDLE
    return Summons(MessageType.CONVERGE, run.converge_at + policy.finalize, why)


def _clock(phase_run: PhaseRun, now: datetime) -> datetime:
    """What the phase run's clock shows."""
    return phase_run.clock_stopped_at or now


def moment(at: datetime) -> str:
    """A moment as agents and people read it."""
    return at.isoformat(timespec="seconds")
