"""What all tables share: names of constraints, states as text, times in UTC."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from sqlalchemy import CheckConstraint, DateTime, Dialect, MetaData, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

from models.errors import Conflict
from models.states import may_become

S = TypeVar("S", bound=StrEnum)
SCHEMA = "egg"
"""Where our tables are, in whatever database: beside others', never among them."""


class Base(DeclarativeBase):
    """The tables of the project."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        str: Text,
        list[str]: ARRAY(Text),
        dict[str, object]: JSONB,
    }


class State(TypeDecorator[S]):
    """A state kept as text; the CHECK beside the column knows the words."""

    impl = Text
    cache_ok = True

    def __init__(self, states: type[S]) -> None:
        super().__init__()
        self.states = states

    def process_bind_param(self, value: S | None, dialect: Dialect) -> str | None:
        """Write the word."""
        del dialect
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> S | None:
        """Read the state."""
        del dialect
        return None if value is None else self.states(value)


class Stateful(Protocol[S]):
    """A row with a status."""

    status: S


def one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    """Let *column* hold these states only."""
    words = ", ".join(f"'{state}'" for state in states)
    return CheckConstraint(f"{column} IN ({words})", name=f"{column}_known")


def words(*states: StrEnum) -> str:
    """The states as an SQL list, in a fixed order."""
    return ", ".join(f"'{state}'" for state in sorted(states))


def move_to(row: Stateful[S], status: S) -> None:
    """Change a row's status along the allowed paths; any other step is a `Conflict`."""
    row.status = step(row.status, status)


def step(old: S, new: S) -> S:
    """Return the state that follows, or raise `Conflict` if it may not."""
    if not may_become(old, new):
        raise Conflict(f"{old} cannot become {new}", {"status": str(old)})
    return new
