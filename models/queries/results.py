"""Typed results of roles."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.states import ParseStatus
from models.tables import Result

VALID = frozenset({ParseStatus.SUBMITTED, ParseStatus.PARSED})


def add_result(session: Session, *, result: Result) -> None:
    """Add a result; it gets its number at once."""
    session.add(result)
    session.flush()


def find_last_result(session: Session, *, run_id: UUID) -> Result | None:
    """The newest result of an agent run."""
    query = select(Result).where(Result.agent_run_id == run_id).order_by(Result.id.desc())
    return session.scalars(query.limit(1)).one_or_none()


def list_results(session: Session, *, pipeline_id: str, phase_run_id: UUID | None = None) -> Sequence[Result]:
    """The results of a pipeline or of one phase run, oldest first."""
    query = select(Result).where(Result.pipeline_id == pipeline_id)
    if phase_run_id is not None:
        query = query.where(Result.phase_run_id == phase_run_id)
    return session.scalars(query.order_by(Result.id)).all()


def standing(rows: Iterable[Result]) -> Mapping[tuple[UUID, str], Result]:
    """By phase run and role, the result that stands: the newest that could be read."""
    return {(row.phase_run_id, row.role): row for row in rows if row.parse_status in VALID}
