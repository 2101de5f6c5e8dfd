"""Halts of the whole installation."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base

STANDS = text("lifted_at IS NULL")


class Halt(Base):
    """An order that no agent starts anywhere; it stands until it is lifted."""

    __tablename__ = "halts"
    __table_args__ = (
        CheckConstraint("lifted_at >= ordered_at", name="lifted_after_ordered"),
        Index("uq_halts_standing", text("(true)"), unique=True, postgresql_where=STANDS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    why: Mapped[str] = mapped_column(default="")
    ordered_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
