"""Repairs: how often the reconciler found what a lost wake-up had left."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Repair(Base):
    """A kind of repair, and how many of it were made since there is a database.

    The reconciler is a process of its own, and `/metrics` is answered by others.
    """

    __tablename__ = "repairs"

    kind: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
