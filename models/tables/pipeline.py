"""Pipelines and their streams of messages and events."""

from datetime import datetime
from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Text,
    TypeDecorator,
    UniqueConstraint,
    cast,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.git_names import PIPELINE_ID
from models.schemas.definition import Definition
from models.schemas.text import STORED
from models.shares import MESSAGE_QUOTA
from models.states import PipelineStatus
from models.tables.base import Base, State, one_of


class Pinned(TypeDecorator[Definition]):
    """A definition kept as JSON; a process reads each one once, as long as it is in use."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Definition | None, dialect: Dialect) -> object:
        """Write it down."""
        del dialect
        return None if value is None else value.model_dump(mode="json")

    def column_expression(self, column: ColumnElement[Definition]) -> ColumnElement[Definition]:
        """Have the database give it as text."""
        return type_coerce(cast(column, Text), self)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Definition | None:
        """Read it, or find it read."""
        del dialect
        return None if value is None else _read(value)


@lru_cache(maxsize=1000)
def _read(text: str) -> Definition:
    return Definition.model_validate_json(text, context=STORED)


class Pipeline(Base):
    """One piece of work on one repository; its definition is pinned when it is created."""

    __tablename__ = "pipelines"
    __table_args__ = (
        one_of("status", PipelineStatus),
        CheckConstraint(rf"id ~ '^{PIPELINE_ID}$' AND id !~ '\.\.'", name="id_well_formed"),
        Index("ix_pipelines_created", "created_at", "id"),
        UniqueConstraint("client_key"),
        Index("ix_pipelines_rerun_of", "rerun_of"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[PipelineStatus] = mapped_column(State(PipelineStatus))
    definition: Mapped[Definition] = mapped_column(Pinned)
    work_commit: Mapped[str | None]
    """The tip of the work branch. The row is the truth; the branch follows it."""
    published_commit: Mapped[str | None]
    """Where the work branch itself was last moved to; it follows work_commit."""
    base_commit: Mapped[str | None]
    tip_owner: Mapped[str | None]
    """The role whose version was merged last."""
    why: Mapped[str | None]
    """Why it failed, what it still lacked when it was complete, or why it has no repository yet."""
    send_after: Mapped[datetime | None]
    """When it is to be prepared, its branch to be moved, or its files to be removed (again)."""
    preparations: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often in a row its work branch could not be moved; of a deleted one, its files not be removed."""
    tries_why: Mapped[str | None]
    """What was the matter the last time."""
    extra_iterations: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """So many more than its definition says, as a person granted."""
    deleted_at: Mapped[datetime | None]
    """When a person had it deleted: from then on nobody finds it, and its files go, then its rows."""
    rerun_of: Mapped[str | None] = mapped_column(ForeignKey("pipelines.id", ondelete="SET NULL"))
    """The pipeline it repeats; None where it repeats none, or one that was deleted."""
    rerun_of_name: Mapped[str | None]
    """What that one is or was called: after a deletion another may have its name."""
    file: Mapped[str | None]
    """The definition file it was made from, on the machine of who submitted it."""
    overrides: Mapped[list[str]] = mapped_column(default=list, server_default=text("'{}'"))
    """What was set over the file, as `--set` takes it: K=V, V being YAML."""
    client_key: Mapped[str | None]
    """The caller's own key: the same one again is the same pipeline."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class MessageStream(Base):
    """The counters behind gapless ids, apart from pipelines so that talk never waits for decisions."""

    __tablename__ = "message_streams"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    last_message_id: Mapped[int] = mapped_column(BigInteger, default=0)
    last_event_id: Mapped[int] = mapped_column(BigInteger, default=0)
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    """What its messages take, as `models.shares` counts."""
    quota: Mapped[int] = mapped_column(
        BigInteger, default=MESSAGE_QUOTA, server_default=text(f"'{MESSAGE_QUOTA}'")
    )
    """Beyond so many bytes an agent's message is refused; never a person's or the system's."""
    refused_at: Mapped[datetime | None]
    """When one was first refused for it; that is told once."""
