"""Standings: a phase run's consensus, read from the very inputs of the decision function."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models.consensus.conditions import condition
from models.consensus.decide import decide
from models.consensus.due import rests_until
from models.consensus.policy import PhasePolicy
from models.consensus.retries import ready_at
from models.consensus.settled import (
    has_consensus,
    has_unseen_base,
    live_objections_about,
    unmade,
    unseen_versions,
    unsettled,
    unsettled_reason,
)
from models.consensus.snapshot import RoleView, Snapshot
from models.consensus.step import HOLDS_NOBODY, Wait
from models.queries import phase_runs, pipelines
from models.queries.snapshots import list_snapshots, load_snapshot
from models.schemas.report import Consensus, Lacking, RoleStanding, Waiting
from models.states import LIVE_PHASES, MergeStatus, PipelineStatus, Readiness
from models.tables import Decision, PhaseRun, Pipeline


@dataclass(frozen=True)
class Standing:
    """A pipeline with its newest phase run as `decide` sees it; neither before it has started."""

    pipeline: Pipeline
    policy: PhasePolicy
    phase_run: PhaseRun | None
    snapshot: Snapshot | None

    @property
    def is_live(self) -> bool:
        """Whether the phase run is not over."""
        return self.phase_run is not None and self.phase_run.status in LIVE_PHASES


def read(session: Session, *, pipeline_id: str, now: datetime) -> Standing:
    """Read where a pipeline stands, in one state of the database and without a lock.

    To be the first read of its session.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    pipeline = pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    phase_run = phase_runs.find_last_phase_run(session, pipeline_id=pipeline_id)
    return of(session, pipeline, phase_run, now=now)


def of(session: Session, pipeline: Pipeline, phase_run: PhaseRun | None, *, now: datetime) -> Standing:
    """The standing of rows that were read already."""
    policy = pipeline.definition.phase_policy(phase_run.position if phase_run else 0)
    if phase_run is None:
        return Standing(pipeline, policy, None, None)
    snapshot = load_snapshot(session, pipeline=pipeline, phase_run=phase_run, policy=policy, now=now).snapshot
    return Standing(pipeline, policy, phase_run, snapshot)


def consensus(session: Session, standing: Standing) -> Consensus:
    """Whether the phase agrees, role by role."""
    snapshot, phase_run = standing.snapshot, standing.phase_run
    if snapshot is None or phase_run is None:
        return Consensus(agents={}, is_complete=False, blocking_agents=(), has_objections=False)
    views = {view.name: view for view in snapshot.roles}
    rows = phase_runs.list_roles(session, phase_run_id=phase_run.id)
    return Consensus(
        agents={
            row.role: RoleStanding(
                state=row.state,
                reason=row.reason,
                version=row.version,
                current=_is_current(snapshot, views[row.role]),
                updated_at=row.updated_at,
                condition=condition(snapshot, views[row.role]),
                why=_why_not(snapshot, views[row.role]) or "",
            )
            for row in rows
        },
        is_complete=has_consensus(snapshot),
        blocking_agents=tuple(view.name for view in snapshot.present if _blocks(snapshot, view)),
        has_objections=bool(snapshot.live_objections),
        lacking=_lacking(snapshot) if standing.is_live else (),
    )


def waiting(standing: Standing) -> tuple[Waiting, ...]:
    """The roles a live phase run waits for."""
    snapshot = standing.snapshot
    if snapshot is None or not standing.is_live:
        return ()
    return tuple(
        Waiting(
            role=view.name,
            state=view.state,
            condition=condition(snapshot, view),
            why=_with_time(snapshot, view, why),
        )
        for view, why in unsettled(snapshot)
    )


def conditions(
    session: Session, seen: Collection[tuple[Pipeline, PhaseRun]], *, now: datetime
) -> Mapping[UUID, Mapping[str, str]]:
    """How each role of these phase runs is doing, in a word, by phase run and role: one statement for all."""
    found = list_snapshots(session, seen=seen, now=now) if seen else {}
    return {
        phase_run_id: {role.name: condition(snapshot, role) for role in snapshot.roles}
        for phase_run_id, snapshot in found.items()
    }


def is_waited_for(standing: Standing, decision: Decision) -> bool:
    """Whether nothing but the answer moves the phase on; an agent's question holds nobody back."""
    is_held = decision.kind not in HOLDS_NOBODY
    return is_held or standing.pipeline.status is PipelineStatus.AWAITING_HUMAN


def _lacking(snapshot: Snapshot) -> tuple[Lacking, ...]:
    """What keeps the phase from ending: its roles, then what the system has still to do."""
    roles = [
        Lacking(role=view.name, why=_with_time(snapshot, view, why))
        for view, why in unsettled(snapshot)
        if _blocks(snapshot, view)
    ]
    return (*roles, *(Lacking(role=None, why=what) for what in unmade(snapshot)))


def _why_not(snapshot: Snapshot, role: RoleView) -> str | None:
    reason = unsettled_reason(snapshot, role)
    return reason and _with_time(snapshot, role, reason)


def _with_time(snapshot: Snapshot, role: RoleView, reason: str) -> str:
    """Why the role is not settled, with when it may run again if that is not yet."""
    at = rests_until(snapshot, role) or ready_at(snapshot, role)
    if role.live is not None or at <= snapshot.now:
        return reason
    return f"{reason}; it is tried again at {at:%Y-%m-%d %H:%M:%S} UTC"


def sentence(standing: Standing) -> str:
    """What the pipeline waits for, or how it ended; questions to a person left aside."""
    pipeline, phase_run, snapshot = standing.pipeline, standing.phase_run, standing.snapshot
    if pipeline.status is PipelineStatus.PENDING:
        return f"it was not started yet: egg pipeline start {pipeline.id}"
    if pipeline.status is PipelineStatus.COMPLETE:
        is_empty = pipeline.work_commit == pipeline.base_commit
        said = (
            f"{phase_run.phase} ended by {phase_run.stop_reason}" if phase_run else "",
            "no version changes anything" if is_empty else "",
            pipeline.why,
        )
        return "; ".join(filter(None, said))
    if not standing.is_live or phase_run is None or snapshot is None:
        return pipeline.why or f"it was {pipeline.status}"
    verdict = decide(snapshot)
    if snapshot.tip is None and pipeline.why:
        again = f", tried again at {pipeline.send_after:%H:%M:%S} UTC" if pipeline.send_after else ""
        return f"the repository is being prepared{again}: {pipeline.why}"
    if isinstance(verdict, Wait):
        return verdict.why
    return "; ".join(f"{each.role} {each.why}" for each in waiting(standing)) or phase_run.why


def _is_current(snapshot: Snapshot, role: RoleView) -> bool:
    is_stale = unseen_versions(snapshot, role) or has_unseen_base(snapshot, role)
    return role.state is not Readiness.WORKING and not is_stale


def _blocks(snapshot: Snapshot, role: RoleView) -> bool:
    """Whether the phase cannot end because of this role: an advisory one may only dissent in silence."""
    if unsettled_reason(snapshot, role) is None:
        return False
    is_accused = bool(live_objections_about(snapshot, role))
    return role.policy.required or is_accused or role.merge is MergeStatus.CONFLICTED
