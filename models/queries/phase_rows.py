"""What a phase run's next step follows from, read in one statement.

One state of the database by itself, and one way to the server: a phase is looked at again after each step.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import QueryableAttribute, Session
from sqlalchemy.sql import visitors

from models.consensus.snapshot import DecisionView, ObjectionView, RebaseView
from models.consensus.views import CheckRow, RoleRow, RunRow, SeenRow, VersionRow
from models.states import (
    LIVE_REBASES,
    DecisionStatus,
    RebaseStatus,
)
from models.tables import (
    AgentRun,
    Check,
    Clock,
    Decision,
    Halt,
    Message,
    MessageStream,
    Objection,
    PhaseRun,
    Rebase,
    Role,
    Seen,
    Version,
)
from models.tables.base import Base
from models.tables.message import IS_WAKING

PIPELINE = bindparam("pipeline_id", type_=Text)
PHASE_RUN = bindparam("phase_run_id", type_=Uuid)


@dataclass(frozen=True)
class PhaseRows:
    """The rows of a phase run, each kind in its own order."""

    last_message: int
    """The newest message of the pipeline, whomever it is for."""
    is_halted: bool
    ticked_at: datetime | None
    """When something of ours last ticked; None before anything did."""
    roles: tuple[RoleRow, ...]
    runs: tuple[RunRow, ...]
    versions: tuple[VersionRow, ...]
    seen: tuple[SeenRow, ...]
    objections: tuple[ObjectionView, ...]
    decisions: tuple[DecisionView, ...]
    checks: tuple[CheckRow, ...]
    rebases: tuple[RebaseView, ...]
    """Those that are under way, and those that were merged in this phase run."""
    unclosed_elsewhere: tuple[str, ...]
    """Roles with a run in another phase run of the pipeline that is not yet stopped and safe."""


_ROWS = TypeAdapter(PhaseRows)


def read(session: Session, *, pipeline_id: str, phase_run_id: UUID) -> PhaseRows:
    """Read a phase run; what the caller has changed is written first."""
    session.flush()
    given = {"pipeline_id": pipeline_id, "phase_run_id": phase_run_id}
    return _ROWS.validate_json(session.scalars(_statement(), given).one())


def read_all(session: Session, *, phase_run_ids: Collection[UUID]) -> Mapping[UUID, PhaseRows]:
    """Read several phase runs as `read` reads one, in one statement, too."""
    session.flush()
    found = session.execute(_statement_of_many().where(PhaseRun.id.in_(phase_run_ids)))
    return {phase_run_id: _ROWS.validate_json(rows) for phase_run_id, rows in found}


@cache
def _statement_of_many() -> Select[UUID, str]:
    """The same statement, in which a phase run's own columns stand for what is given."""
    columns = {
        str(PIPELINE.key): literal_column("phase_runs.pipeline_id", Text),
        str(PHASE_RUN.key): literal_column("phase_runs.id", Uuid),
    }

    def own(element: Any, **_: object) -> Any:
        return columns.get(element.key) if isinstance(element, BindParameter) else None

    return select(PhaseRun.id, visitors.replacement_traverse(_object(), {}, own))


@cache
def _statement() -> Select[str]:
    return select(_object())


def _object() -> ColumnElement[str]:
    last_message = select(MessageStream.last_message_id).where(MessageStream.pipeline_id == PIPELINE)
    elsewhere = select(AgentRun.role).where(
        AgentRun.pipeline_id == PIPELINE,
        AgentRun.phase_run_id != PHASE_RUN,
        AgentRun.closed_at.is_(None),
        AgentRun.role.is_not(None),
    )
    number = Decision.id.label("number")
    pending = (Decision.status == DecisionStatus.PENDING).label("is_pending")
    parts = {
        "last_message": last_message.scalar_subquery(),
        "is_halted": exists().where(Halt.lifted_at.is_(None)),
        "ticked_at": select(Clock.ticked_at).scalar_subquery(),
        "roles": _listed(_columns(Role, RoleRow, waking_message=_waking()), Role.position),
        "runs": _listed(
            _columns(AgentRun, RunRow, last_line=_last_line()),
            AgentRun.created_at,
            AgentRun.role,
            AgentRun.number,
        ),
        "versions": _listed(_columns(Version, VersionRow), Version.role, Version.number),
        "seen": _listed(_columns(Seen, SeenRow)),
        "objections": _listed(_columns(Objection, ObjectionView), Objection.number),
        "decisions": _listed(
            _columns(Decision, DecisionView, number=number, is_pending=pending), Decision.id
        ),
        "checks": _listed(_columns(Check, CheckRow, number=Check.id.label("number")), Check.id),
        "rebases": _listed(_rebases(), Rebase.id),
        "unclosed_elsewhere": _gathered(func.json_agg(elsewhere.subquery().c.role)),
    }
    pairs = [part for name, value in parts.items() for part in (name, value)]
    return cast(func.json_build_object(*pairs), Text)


def _last_line() -> ColumnElement[str]:
    return func.substring(AgentRun.log_tail, r"[^\n]*$").label("last_line")


def _columns(table: type[Base], shape: type[Any], **computed: ColumnElement[Any]) -> Select[Any]:
    """The columns a shape names, from those rows of the phase run that a table holds."""
    names = (each.name for each in fields(shape))
    found = [computed[name] if name in computed else getattr(table, name) for name in names]
    return select(*found).where(table.__table__.c.phase_run_id == PHASE_RUN)


def _rebases() -> Select[Any]:
    """The rebases that are under way, and those whose base the roles of the phase run are to see."""
    computed = {"number": Rebase.id.label("number")}
    names = (each.name for each in fields(RebaseView))
    found = [computed[name] if name in computed else getattr(Rebase, name) for name in names]
    is_merged_here = and_(Rebase.status == RebaseStatus.MERGED, Rebase.phase_run_id == PHASE_RUN)
    return select(*found).where(
        Rebase.pipeline_id == PIPELINE, or_(Rebase.status.in_(LIVE_REBASES), is_merged_here)
    )


def _listed(rows: Select[Any], *order: QueryableAttribute[Any]) -> ColumnElement[Any]:
    """The rows as a list of objects, named as their columns are."""
    return _gathered(func.json_agg(rows.order_by(*order).subquery().table_valued()))


def _gathered(aggregate: ColumnElement[Any]) -> ColumnElement[Any]:
    return select(func.coalesce(aggregate, func.json_build_array())).scalar_subquery()


def _waking() -> ColumnElement[int | None]:
    newest = select(Message.id).where(
        Message.pipeline_id == PIPELINE,
        Message.to_role == Role.role,
        # Nobody is given their own messages, which so would wake them for ever.
        Message.from_role != Role.role,
        Message.id > Role.handled_message,
        Message.phase_run_id == Role.phase_run_id,
        IS_WAKING,
    )
    return newest.order_by(Message.id.desc()).limit(1).scalar_subquery().label("waking_message")
