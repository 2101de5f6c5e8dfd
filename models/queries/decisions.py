"""Questions to a person."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.consensus.step import DecisionKind
from models.errors import NotFound
from models.queries.locks import NO_KEY
from models.states import DecisionStatus, PipelineStatus
from models.tables import Decision, Pipeline


def add_decision(session: Session, *, decision: Decision) -> None:
    """Add a question; its phase run is locked by the caller, so that no key is used twice."""
    session.add(decision)
    session.flush()


def get_decision(session: Session, *, decision_id: int) -> Decision:
    """One question, as it is now, or `NotFound`."""
    decision = session.get(Decision, decision_id, populate_existing=True)
    if decision is None:
        raise NotFound(f"there is no decision {decision_id}; see `egg decision list`")
    return decision


def lock_decision(session: Session, *, decision_id: int) -> Decision:
    """One question, locked, or `NotFound`; who also moves its phase run has locked that before."""
    decision = session.get(Decision, decision_id, with_for_update=NO_KEY, populate_existing=True)
    if decision is None:
        raise NotFound(f"there is no decision {decision_id}; see `egg decision list`")
    return decision


def find_decision(session: Session, *, pipeline_id: str, key: str) -> Decision | None:
    """The newest question of a pipeline with this key, in whatever phase run."""
    query = select(Decision).where(Decision.pipeline_id == pipeline_id, Decision.key == key)
    return session.scalars(query.order_by(Decision.id.desc()).limit(1)).one_or_none()


def list_answered(
    session: Session, *, pipeline_id: str, kinds: Collection[DecisionKind]
) -> Sequence[Decision]:
    """The answered questions of these kinds in a pipeline, by number."""
    query = select(Decision).where(Decision.pipeline_id == pipeline_id, Decision.resolution.is_not(None))
    return session.scalars(query.where(Decision.kind.in_(kinds)).order_by(Decision.id)).all()


def list_overdue_decisions(
    session: Session, *, now: datetime, limit: int, but: Collection[int] = ()
) -> Sequence[Decision]:
    """Unanswered questions past their deadline, the longest first; those of paused pipelines wait.

    Those in *but* are left out.
    """
    query = (
        select(Decision)
        .join(Pipeline, Pipeline.id == Decision.pipeline_id)
        .where(Decision.status == DecisionStatus.PENDING, Decision.deadline <= now)
        .where(Decision.default.is_not(None), Pipeline.status != PipelineStatus.PAUSED)
        .where(Decision.id.not_in(but))
        .order_by(Decision.deadline, Decision.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def claim_untold_decisions(
    session: Session, *, now: datetime, limit: int, max_tries: int
) -> Sequence[Decision]:
    """Lock unanswered questions of which the webhook is to be told now; skips locked ones."""
    query = (
        select(Decision)
        .where(Decision.notify_after <= now, Decision.status == DecisionStatus.PENDING)
        .where(Decision.notices < max_tries)
        .order_by(Decision.notify_after, Decision.id)
        .limit(limit)
    )
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()


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
