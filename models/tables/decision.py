"""Questions to a person."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.consensus.verdict import DecisionKind
from models.states import DecisionStatus
from models.tables.base import Base, State, one_of


class Decision(Base):
    """A question to a person: it holds no slot, no thread and no clock."""

    __tablename__ = "decisions"
    __table_args__ = (
        one_of("status", DecisionStatus),
        one_of("kind", DecisionKind),
        UniqueConstraint("phase_run_id", "key"),
        CheckConstraint('"default" = ANY (options)', name="default_is_an_option"),
        CheckConstraint(
            "(status IN ('defaulted', 'resolved')) = (resolution IS NOT NULL)", name="answered_has_resolution"
        ),
        Index("ix_decisions_pipeline", "pipeline_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"))
    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"))
    key: Mapped[str]
    kind: Mapped[DecisionKind] = mapped_column(State(DecisionKind))
    question: Mapped[str]
    options: Mapped[list[str]]
    default: Mapped[str]
    roles: Mapped[list[str]] = mapped_column(default=list)
    status: Mapped[DecisionStatus] = mapped_column(State(DecisionStatus), default=DecisionStatus.PENDING)
    resolution: Mapped[str | None]
    deadline: Mapped[datetime | None]
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
