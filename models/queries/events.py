"""Events: what happened."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session, aliased

from models.tables import Event


@dataclass(frozen=True)
class EventsFound:
    """The oldest events that were asked for, and whether there are more behind them."""

    events: Sequence[Event]
    has_more: bool


def list_events(
    session: Session, *, pipeline_id: str, after: int, limit: int, most_bytes: int
) -> EventsFound:
    """The oldest *limit* events of the pipeline with a number above *after*.

    They have *most_bytes* together, or a single one more; what is longer than it may be is not even read.
    """
    query = select(Event).where(Event.pipeline_id == pipeline_id, Event.id > after)
    row = aliased(Event, query.order_by(Event.id).limit(limit + 1).subquery())
    size = func.octet_length(row.text) + func.octet_length(cast(row.details, Text))
    before = (func.sum(size).over(order_by=row.id) - size).label("before")
    sized = select(row, before, func.count().over().label("found")).subquery()
    event = aliased(Event, sized)
    page = select(event, sized.c.found).where(sized.c.before < most_bytes).order_by(event.id).limit(limit)
    rows = session.execute(page).all()
    return EventsFound([each for each, _ in rows], has_more=any(found > len(rows) for _, found in rows[:1]))
