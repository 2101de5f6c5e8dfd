"""What happened, for people and programs to follow."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Event(Base):
    """One thing that happened in a pipeline, numbered like messages: gapless and in commit order."""

    __tablename__ = "events"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    type: Mapped[str]
    phase: Mapped[str | None]
    iteration: Mapped[int | None]
    role: Mapped[str | None]
    agent_run_id: Mapped[UUID | None]
    text: Mapped[str]
    details: Mapped[dict[str, object]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
