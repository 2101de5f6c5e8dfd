"""Rebases of pipelines: the present base on its way into the work branch."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.states import LIVE_REBASES, RebaseStatus
from models.tables import Rebase


def add_rebase(session: Session, *, rebase: Rebase) -> None:
    """Add a wish; its pipeline has no other that is under way."""
    session.add(rebase)
    session.flush()


def find_rebase(session: Session, *, number: int) -> Rebase | None:
    """One rebase, as it is now."""
    return session.get(Rebase, number, populate_existing=True)


def find_live_rebase(session: Session, *, pipeline_id: str) -> Rebase | None:
    """The one of a pipeline that is under way; there is at most one. The caller holds the pipeline."""
    query = select(Rebase).where(Rebase.pipeline_id == pipeline_id, Rebase.status.in_(LIVE_REBASES))
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def find_last_rebase(session: Session, *, pipeline_id: str) -> Rebase | None:
    """The newest one of a pipeline."""
    query = select(Rebase).where(Rebase.pipeline_id == pipeline_id).order_by(Rebase.id.desc()).limit(1)
    return session.scalars(query).one_or_none()


def list_merged(session: Session, *, pipeline_id: str) -> Sequence[Rebase]:
    """Those of a pipeline that are in its work branch, oldest first."""
    query = select(Rebase).where(Rebase.pipeline_id == pipeline_id, Rebase.status == RebaseStatus.MERGED)
    return session.scalars(query.order_by(Rebase.id)).all()


def claim_unattended_rebases(session: Session, *, now: datetime, limit: int) -> Sequence[Rebase]:
    """Lock those that are being merged and due to be sent again; skips locked ones."""
    query = select(Rebase).where(Rebase.status == RebaseStatus.MERGING, Rebase.send_after <= now)
    query = query.order_by(Rebase.send_after, Rebase.id).limit(limit)
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()
