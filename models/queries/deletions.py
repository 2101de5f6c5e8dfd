"""The going of a pipeline's rows."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, delete, or_, select
from sqlalchemy.orm import Session

from models.tables import AgentRun, PhaseRun, Pipeline
from models.tables.base import Base

OWNERS = {"pipelines": "id", "phase_runs": "id", "agent_runs": "id"}
"""What is a pipeline's refers to one of these, by that column."""


def list_tables() -> Sequence[Table]:
    """The tables with rows of a pipeline's, those first that others do not refer to."""
    return [table for table in reversed(Base.metadata.sorted_tables) if _references(table)]


def delete_pipeline(session: Session, *, pipeline_id: str) -> None:
    """Delete a pipeline's row and all that are its own, and no other."""
    for table in list_tables():
        session.execute(delete(table).where(or_(*_own(table, pipeline_id))))
    session.execute(delete(Pipeline).where(Pipeline.id == pipeline_id))
    session.expire_all()


def _references(table: Table) -> list[tuple[str, str]]:
    """The columns of a table that say whose a row is, with the table they name; pipelines are their own."""
    if table.name == "pipelines":
        return []
    found = [(key.parent.name, key.column.table.name, key.column.name) for key in table.foreign_keys]
    return [(column, owner) for column, owner, name in found if OWNERS.get(owner) == name]


def _own(table: Table, pipeline_id: str) -> list[ColumnElement[bool]]:
    phases = select(PhaseRun.id).where(PhaseRun.pipeline_id == pipeline_id)
    runs = select(AgentRun.id).where(AgentRun.pipeline_id == pipeline_id)
    owned: list[ColumnElement[bool]] = []
    for column, owner in _references(table):
        here = table.c[column]
        if owner == "pipelines":
            return [here == pipeline_id]
        owned.append(here.in_(phases if owner == "phase_runs" else runs))
    return owned
