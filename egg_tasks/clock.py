"""The clock, read at the edges only; services and queries are given the time."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)
