"""Halts of the whole installation."""

from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from models.states import LIVE_PHASES
from models.tables import Halt, PhaseRun

LOCK = 0x6567_6768_616C_7400
"""The advisory lock between ordering a halt and starting a run ("egghalt"); taken before any row."""


def add_halt(session: Session, *, halt: Halt) -> None:
    """Add a halt; the caller holds the lock and knows that none stands."""
    session.add(halt)
    session.flush()


def find_standing_halt(session: Session) -> Halt | None:
    """The halt that stands, as it is now, not locked; there is at most one."""
    query = select(Halt).where(Halt.lifted_at.is_(None))
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def lock_halts(session: Session) -> None:
    """Keep all others from starting runs until the unit of work ends; waits for those that are at it."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def share_halts(session: Session) -> None:
    """Keep halts from being ordered or lifted until the unit of work ends; starting runs share this."""
    session.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": LOCK})


def shift_deadlines(session: Session, *, halt: Halt, now: datetime) -> None:
    """Move the deadlines of live phase runs by the time they were halted.

    A clock that stands still moves them by itself when it goes on, from when it was stopped.
    """
    began = func.greatest(PhaseRun.started_at, halt.ordered_at)
    ended = func.coalesce(PhaseRun.clock_stopped_at, now)
    stood = func.greatest(ended - began, text("interval '0'"))
    session.execute(
        update(PhaseRun)
        .where(PhaseRun.status.in_(LIVE_PHASES))
        .values(
            soft_deadline_at=PhaseRun.soft_deadline_at + stood,
            hard_deadline_at=PhaseRun.hard_deadline_at + stood,
        )
        .execution_options(synchronize_session=False)
    )
