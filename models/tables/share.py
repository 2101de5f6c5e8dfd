"""What agent runs have used up of their shares."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class RunShare(Base):
    """How much of one kind a run has used; apart from the run, so that talk never waits for decisions."""

    __tablename__ = "run_shares"

    agent_run_id: Mapped[UUID] = mapped_column(ForeignKey("agent_runs.id"), primary_key=True)
    share: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes of words."""
    began_at: Mapped[datetime]
    refused_at: Mapped[datetime | None]
    """When it was first refused for having none left; that is told once."""
