"""What agents reached, or wanted to reach, by the gateway."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, State, one_of


class Passage(StrEnum):
    """What became of a wish to reach a host."""

    ALLOWED = "allowed"
    OBSERVED = "observed"
    """Let through, though it was not on the list."""
    REFUSED = "refused"


class Egress(Base):
    """A host that one agent run asked for, how often, and what became of it."""

    __tablename__ = "egress"
    __table_args__ = (
        one_of("passage", Passage),
        CheckConstraint("number > 0", name="number_positive"),
        Index("uq_egress_host", "agent_run_id", "host", "port", "passage", "why", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_run_id: Mapped[UUID] = mapped_column(ForeignKey("agent_runs.id", ondelete="CASCADE"))
    host: Mapped[str]
    """A name in small letters, or an address; empty for all further ones of a run that asks for very many."""
    port: Mapped[int]
    passage: Mapped[Passage] = mapped_column(State(Passage))
    why: Mapped[str] = mapped_column(default="")
    """Why it was refused: `list`, or the address it stands for."""
    number: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
