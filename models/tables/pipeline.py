"""Pipelines and their streams of messages and events."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.states import PipelineStatus
from models.tables.base import Base, State, one_of


class Pipeline(Base):
    """One piece of work on one repository; its definition is pinned when it is created."""

    __tablename__ = "pipelines"
    __table_args__ = (
        one_of("status", PipelineStatus),
        CheckConstraint(r"id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' AND id !~ '\.\.'", name="id_well_formed"),
        Index("ix_pipelines_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[PipelineStatus] = mapped_column(State(PipelineStatus))
    definition: Mapped[dict[str, object]]
    work_commit: Mapped[str | None]
    """The tip of the work branch. The row is the truth; the branch follows it."""
    published_commit: Mapped[str | None]
    """Where the work branch itself was last moved to; it follows work_commit."""
    base_commit: Mapped[str | None]
    tip_owner: Mapped[str | None]
    """The role whose version was merged last."""
    why: Mapped[str | None]
    """Why it failed, or what it still lacked when it was complete, in a sentence."""
    send_after: Mapped[datetime | None]
    """When a pipeline without a repository is to be prepared (again)."""
    preparations: Mapped[int] = mapped_column(default=0)
    extra_iterations: Mapped[int] = mapped_column(default=0)
    """So many more than its definition says, as a person granted."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class MessageStream(Base):
    """The counters behind gapless ids, apart from pipelines so that talk never waits for decisions."""

    __tablename__ = "message_streams"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    last_message_id: Mapped[int] = mapped_column(BigInteger, default=0)
    last_event_id: Mapped[int] = mapped_column(BigInteger, default=0)
