"""What happened."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables import Event


def list_events(session: Session, *, pipeline_id: str, after: int, limit: int) -> Sequence[Event]:
    """The pipeline's events with a number above *after*, oldest first."""
    query = select(Event).where(Event.pipeline_id == pipeline_id, Event.id > after)
    return session.scalars(query.order_by(Event.id).limit(limit)).all()
