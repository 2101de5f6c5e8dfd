"""Typed results of roles."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.states import ParseStatus
from models.tables.base import Base, State, one_of


class Result(Base):
    """What a role says it has done, as figures; the newest of a phase run stands."""

    __tablename__ = "results"
    __table_args__ = (
        one_of("parse_status", ParseStatus),
        Index("ix_results_role", "phase_run_id", "role", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"))
    phase_run_id: Mapped[UUID] = mapped_column(ForeignKey("phase_runs.id"))
    agent_run_id: Mapped[UUID] = mapped_column(ForeignKey("agent_runs.id"), index=True)
    role: Mapped[str]
    parse_status: Mapped[ParseStatus] = mapped_column(State(ParseStatus))
    raw: Mapped[str] = mapped_column(default="")
    """The words it was read from."""
    fields: Mapped[dict[str, object]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
