"""Questions to a person."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.consensus.step import DecisionKind
from models.states import DecisionStatus
from models.tables.base import Base, State, one_of

PENDING = text("status = 'pending'")


class Decision(Base):
    """A question to a person: it holds no slot, no thread and no clock."""

    __tablename__ = "decisions"
    __table_args__ = (
        one_of("status", DecisionStatus),
        one_of("kind", DecisionKind),
        UniqueConstraint("phase_run_id", "key"),
        CheckConstraint('"default" IS NULL OR "default" = ANY (options)', name="default_is_an_option"),
        CheckConstraint(
            "(status IN ('defaulted', 'resolved')) = (resolution IS NOT NULL)", name="answered_has_resolution"
        ),
        CheckConstraint("is_free OR cardinality(options) > 0", name="can_be_answered"),
        Index("ix_decisions_pipeline", "pipeline_id", "id"),
        Index("ix_decisions_deadline", "deadline", postgresql_where=PENDING),
        Index("ix_decisions_notify", "notify_after", postgresql_where=text("notify_after IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"))
    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"))
    key: Mapped[str]
    kind: Mapped[DecisionKind] = mapped_column(State(DecisionKind))
    question: Mapped[str]
    options: Mapped[list[str]]
    default: Mapped[str | None]
    is_free: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Whether it may also be answered in other words than its options."""
    asked_by: Mapped[str] = mapped_column(default="orchestrator", server_default="orchestrator")
    """The role that asks, `human`, or the system itself."""
    roles: Mapped[list[str]] = mapped_column(default=list)
    status: Mapped[DecisionStatus] = mapped_column(State(DecisionStatus), default=DecisionStatus.PENDING)
    resolution: Mapped[str | None]
    deadline: Mapped[datetime | None]
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    notify_after: Mapped[datetime | None]
    """When the installation's webhook is to be told of it (again); None once it knows."""
    notices: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often that was tried."""
