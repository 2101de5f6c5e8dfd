"""Questions to a person."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.errors import NotFound
from models.states import DecisionStatus
from models.tables import Decision


def add_decision(session: Session, *, decision: Decision) -> None:
    """Add a question; its phase run is locked by the caller, so that no key is used twice."""
    session.add(decision)
    session.flush()


def get_decision(session: Session, *, decision_id: int) -> Decision:
    """One question, as it is now, or `NotFound`."""
    decision = session.get(Decision, decision_id, populate_existing=True)
    if decision is None:
        raise NotFound(f"there is no decision {decision_id}; see `egg decision list PIPELINE`")
    return decision


def list_decisions(
    session: Session,
    *,
    pipeline_id: str | None = None,
    phase_run_id: UUID | None = None,
    is_pending: bool = False,
) -> Sequence[Decision]:
    """Questions by number: of a pipeline, of a phase run, only unanswered ones when *is_pending*."""
    query = select(Decision).order_by(Decision.id)
    if pipeline_id is not None:
        query = query.where(Decision.pipeline_id == pipeline_id)
    if phase_run_id is not None:
        query = query.where(Decision.phase_run_id == phase_run_id)
    if is_pending:
        query = query.where(Decision.status == DecisionStatus.PENDING)
    return session.scalars(query.execution_options(populate_existing=True)).all()
