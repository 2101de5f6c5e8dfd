"""Phase runs, their roles, and what the roles have seen."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.errors import Conflict, NotFound
from models.queries.locks import NO_KEY
from models.states import LIVE_PHASES, PipelineStatus
from models.tables import Message, PhaseRun, Pipeline, Role, Seen
from models.tables.message import IS_WAKING


def add_phase_run(session: Session, *, phase_run: PhaseRun, roles: Iterable[Role]) -> None:
    """Add a phase run with its readiness rows."""
    session.add(phase_run)
    session.flush()
    session.add_all(roles)
    session.flush()


def get_phase_run(session: Session, *, phase_run_id: UUID) -> PhaseRun:
    """One phase run, not locked, or `NotFound`."""
    phase_run = session.get(PhaseRun, phase_run_id)
    if phase_run is None:
        raise NotFound(f"there is no phase run {phase_run_id}")
    return phase_run


def lock_phase_run(session: Session, *, phase_run_id: UUID) -> PhaseRun:
    """One phase run, locked; its pipeline is locked before it. `NotFound` when there is none."""
    phase_run = session.get(PhaseRun, phase_run_id, with_for_update=NO_KEY, populate_existing=True)
    if phase_run is None:
        raise NotFound(f"there is no phase run {phase_run_id}")
    return phase_run


def find_live_phase_run(session: Session, *, pipeline_id: str) -> PhaseRun | None:
    """The pipeline's phase run that is not over; there is at most one."""
    query = select(PhaseRun).where(PhaseRun.pipeline_id == pipeline_id, PhaseRun.status.in_(LIVE_PHASES))
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def find_last_phase_run(session: Session, *, pipeline_id: str) -> PhaseRun | None:
    """The pipeline's newest phase run, over or not."""
    query = select(PhaseRun).where(PhaseRun.pipeline_id == pipeline_id)
    query = query.order_by(PhaseRun.position.desc(), PhaseRun.iteration.desc())
    return session.scalars(query.limit(1)).one_or_none()


def list_phase_runs(session: Session, *, pipeline_id: str) -> Sequence[PhaseRun]:
    """The pipeline's phase runs, oldest first."""
    query = select(PhaseRun).where(PhaseRun.pipeline_id == pipeline_id)
    return session.scalars(query.order_by(PhaseRun.position, PhaseRun.iteration)).all()


def list_due_phase_runs(
    session: Session, *, now: datetime, limit: int, but: Collection[UUID] = ()
) -> Sequence[PhaseRun]:
    """Live phase runs that hold a fact newer than their last evaluation, or whose time has come.

    Those in *but* are left out.
    """
    is_behind = PhaseRun.facts > PhaseRun.evaluated_facts
    was_called = exists().where(
        Message.pipeline_id == PhaseRun.pipeline_id,
        Message.id > PhaseRun.evaluated_message,
        IS_WAKING,
    )
    query = (
        select(PhaseRun)
        .join(Pipeline, Pipeline.id == PhaseRun.pipeline_id)
        .where(PhaseRun.status.in_(LIVE_PHASES), Pipeline.status != PipelineStatus.PAUSED)
        .where(or_(is_behind, PhaseRun.next_evaluation_at <= now, was_called))
        .where(PhaseRun.id.not_in(but))
        .order_by(PhaseRun.next_evaluation_at.nulls_first(), PhaseRun.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def list_roles(session: Session, *, phase_run_id: UUID) -> Sequence[Role]:
    """The roles of a phase run in roster order, as they are now."""
    query = select(Role).where(Role.phase_run_id == phase_run_id).order_by(Role.position)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def get_role(session: Session, *, phase_run_id: UUID, role: str) -> Role:
    """One role of a phase run; `NotFound` names the roster."""
    row = session.get(Role, (phase_run_id, role))
    if row is None:
        names = ", ".join(other.role for other in list_roles(session, phase_run_id=phase_run_id))
        raise NotFound(f"there is no role {role} in this phase; the roster is {names}")
    return row


def lock_role(session: Session, *, phase_run_id: UUID, role: str) -> Role:
    """One role, locked for its cursor; `Conflict` when the phase run has no such role."""
    row = session.get(Role, (phase_run_id, role), with_for_update=NO_KEY, populate_existing=True)
    if row is None:
        raise Conflict(f"there is no role {role} in this phase run")
    return row


def list_seen(session: Session, *, phase_run_id: UUID, role: str | None = None) -> Sequence[Seen]:
    """What roles have seen of each other in a phase run; of one role only when it is given."""
    query = select(Seen).where(Seen.phase_run_id == phase_run_id)
    if role is not None:
        query = query.where(Seen.role == role)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def mark_seen(session: Session, *, phase_run_id: UUID, role: str, versions: Mapping[str, int]) -> None:
    """Record the versions *role* has in its clone; what was seen stays seen."""
    rows = [
        {"phase_run_id": phase_run_id, "role": role, "other": other, "number": number, "at_verdict": 0}
        for other, number in sorted(versions.items())
    ]
    if not rows:
        return
    statement = insert(Seen).values(rows)
    statement = statement.on_conflict_do_update(
        index_elements=["phase_run_id", "role", "other"],
        set_={"number": func.greatest(Seen.number, statement.excluded.number)},
    )
    session.execute(statement)
