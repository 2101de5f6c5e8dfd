"""Repairs of the reconciler."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.tables import Repair


def add_repairs(session: Session, *, kind: str, number: int) -> None:
    """Count so many more repairs of a kind."""
    statement = insert(Repair).values(kind=kind, number=number)
    more = {"number": Repair.number + statement.excluded.number}
    session.execute(statement.on_conflict_do_update(index_elements=["kind"], set_=more))


def count_repairs(session: Session) -> Mapping[str, int]:
    """How many repairs were made, by kind; a kind that was never made is not there."""
    return dict(session.execute(select(Repair.kind, Repair.number)).all())
