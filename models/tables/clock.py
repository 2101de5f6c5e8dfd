"""The clock by which deadlines pass: it stands still while the machine sleeps."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Clock(Base):
    """When a process of ours last ticked; one row, there from the first tick on."""

    __tablename__ = "clock"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ticked_at: Mapped[datetime]
