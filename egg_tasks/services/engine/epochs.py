"""Epochs: a phase run with its pipeline and a moment. Whoever moves one holds the locks of both."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.bus import events
from egg_tasks.services.engine import deadlines
from models.consensus.policy import PhasePolicy
from models.events import EventType
from models.queries import agent_runs, decisions, phase_runs, pipelines, streams, versions
from models.schemas.message import TO_ALL, MessageType
from models.states import (
    LIVE_RUNS,
    CheckStatus,
    DecisionStatus,
    MergeStatus,
    PhaseStatus,
    PipelineStatus,
    RunStatus,
)
from models.tables import AgentRun, Decision, PhaseRun, Pipeline, Role, merge_to, move_to


@dataclass
class Epoch:
    """A phase run being moved. When another begins in its place, it is that one's."""

    session: Session
    pipeline: Pipeline
    phase_run: PhaseRun
    now: datetime

    @property
    def policy(self) -> PhasePolicy:
        """The rules of its phase, as its pipeline pinned them."""
        return self.pipeline.definition.phase_policy(self.phase_run.position)

    def tell(
        self,
        kind: EventType,
        text: str,
        *,
        run: AgentRun | None = None,
        role: str | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        """Tell an event of the phase run, of one of its runs or of a role."""
        events.record(
            self.session,
            kind,
            text,
            now=self.now,
            pipeline=self.pipeline,
            phase_run=self.phase_run,
            role=role or (run.role if run else None),
            run_id=run.id if run else None,
            details=details,
        )

    def announce(
        self,
        message_type: MessageType,
        subject: str,
        *,
        to_role: str = TO_ALL,
        body: str = "",
        metadata: dict[str, object] | None = None,
    ) -> None:
        """Say something to a role, or to all of them, in the system's own name."""
        events.announce(
            self.session,
            message_type,
            subject,
            now=self.now,
            phase_run=self.phase_run,
            to_role=to_role,
            body=body,
            metadata=metadata,
        )

    def lock_live_runs(self, role: str | None = None) -> Iterator[AgentRun]:
        """Its live runs, of checks too, or those of one role; locked."""
        for run in agent_runs.lock_unclosed_agent_runs(self.session, phase_run_id=self.phase_run.id):
            if run.status in LIVE_RUNS and role in {None, run.role}:
                yield run


def lock(session: Session, *, phase_run_id: UUID, now: datetime) -> Epoch:
    """Lock a phase run, its pipeline first."""
    unlocked = phase_runs.get_phase_run(session, phase_run_id=phase_run_id)
    pipeline = pipelines.lock_pipeline(session, pipeline_id=unlocked.pipeline_id)
    phase_run = phase_runs.lock_phase_run(session, phase_run_id=phase_run_id)
    return Epoch(session, pipeline, phase_run, now)


def of_run(session: Session, run: AgentRun, *, now: datetime) -> Epoch:
    """The epoch of a run, not locked: to tell of the run."""
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    return Epoch(session, pipeline, phase_run, now)


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
    kind = EventType.PHASE_STARTED
    events.record(session, kind, text, now=now, pipeline=pipeline, phase_run=phase_run)
    return phase_run


def begin_again(epoch: Epoch, *, iterations_used: int, feedback: Mapping[str, object]) -> None:
    """Begin the next iteration of the epoch's phase, which has ended."""
    old = epoch.phase_run
    _follow(
        epoch,
        position=old.position,
        iteration=old.iteration + 1,
        iterations_used=iterations_used,
        feedback=feedback,
    )


def begin_next(epoch: Epoch) -> None:
    """Begin the phase after the epoch's, which has ended."""
    _follow(epoch, position=epoch.phase_run.position + 1)


def _follow(
    epoch: Epoch,
    *,
    position: int,
    iteration: int = 1,
    iterations_used: int = 1,
    feedback: Mapping[str, object] | None = None,
) -> None:
    """Let another phase run take the place of the epoch's."""
    # The live-phase index must see the old run ended before the new one begins.
    epoch.session.flush()
    epoch.phase_run = begin(
        epoch.session,
        pipeline=epoch.pipeline,
        position=position,
        now=epoch.now,
        iteration=iteration,
        iterations_used=iterations_used,
        feedback=feedback,
    )


def end(epoch: Epoch, status: PhaseStatus) -> None:
    """End the epoch: from here on every write of its agents is stale."""
    session, phase_run = epoch.session, epoch.phase_run
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


def finish(session: Session, pipeline: Pipeline, status: PipelineStatus, *, why: str, now: datetime) -> None:
    """Write a pipeline's bad end and tell it."""
    move_to(pipeline, status)
    pipeline.why, pipeline.ended_at = why, now
    kind = EventType.PIPELINE_CANCELLED
    if status is not PipelineStatus.CANCELLED:
        kind = EventType.PIPELINE_FAILED
    events.record(session, kind, f"pipeline {pipeline.id} is {status}: {why}", now=now, pipeline=pipeline)


def cancel_runs(epoch: Epoch) -> None:
    """End an epoch's runs in the rows; their processes are stopped and their work saved afterwards."""
    for run in agent_runs.lock_unclosed_agent_runs(epoch.session, phase_run_id=epoch.phase_run.id):
        if run.status in LIVE_RUNS:
            has_nothing = run.status is RunStatus.QUEUED and run.node is None
            move_to(run, RunStatus.CANCELLED)
            run.ended_at = run.stop_at = run.send_after = epoch.now
            # What no worker ever had has no process to stop and no work to save.
            run.closed_at = epoch.now if has_nothing else None


def cancel_decisions(epoch: Epoch, *, but: Decision | None = None) -> None:
    """Withdraw the phase run's open questions, all but one."""
    for decision in decisions.list_decisions(epoch.session, phase_run_id=epoch.phase_run.id, is_pending=True):
        if decision is not but:
            move_to(decision, DecisionStatus.CANCELLED)
            decision.notify_after = None
