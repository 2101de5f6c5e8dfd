"""The clock, and what moves when the machine has slept."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.queries.locks import NO_KEY
from models.schemas.silence import ASLEEP, Silence
from models.states import LIVE_PHASES, LIVE_RUNS, DecisionStatus, RunStatus
from models.tables import AgentRun, Clock, Decision, Halt, Message, PhaseRun
from models.tables.base import Base

ONLY = 1


def tick(session: Session, *, now: datetime) -> datetime:
    """Note a tick in one statement; *now*, or, where the last one is too long ago, that one, untouched."""
    row = insert(Clock).values(id=ONLY, ticked_at=now)
    is_recent = Clock.ticked_at > now - ASLEEP
    ticked_at = case((is_recent, row.excluded.ticked_at), else_=Clock.ticked_at)
    statement = row.on_conflict_do_update(index_elements=["id"], set_={"ticked_at": ticked_at})
    return session.scalars(statement.returning(Clock.ticked_at)).one()


def find_tick(session: Session) -> datetime | None:
    """When something of ours last ticked; None before anything did."""
    return session.scalars(select(Clock.ticked_at)).one_or_none()


def lock_clock(session: Session) -> Clock:
    """The clock, locked; there is one from the first tick on."""
    return session.get_one(Clock, ONLY, with_for_update=NO_KEY, populate_existing=True)


def shift(
    session: Session, *, slept: timedelta, began_at: datetime, woke_at: datetime, now: datetime
) -> None:
    """Move what is still to come by the time that was *slept*; what was written since the waking stays.

    Whoever judges by these moments waits for the tick that does this, so all others are from before. The
    clock of a phase run that stood still meanwhile, for a person or a halt, moves by itself when it goes on.
    """
    _shift_phase_runs(session, slept, began_at)
    _shift_agent_runs(session, slept, Silence(woke_at, now))
    _move(
        session,
        Decision,
        and_(Decision.status == DecisionStatus.PENDING, Decision.created_at <= began_at),
        deadline=Decision.deadline + slept,
    )


def _shift_phase_runs(session: Session, slept: timedelta, began_at: datetime) -> None:
    is_live = and_(PhaseRun.status.in_(LIVE_PHASES), PhaseRun.started_at <= began_at)
    goes = or_(PhaseRun.clock_stopped_at.is_(None), PhaseRun.clock_stopped_at > began_at)
    is_halted = exists().where(Halt.lifted_at.is_(None), Halt.ordered_at <= began_at)
    _move(
        session,
        PhaseRun,
        and_(is_live, goes, not_(is_halted)),
        soft_deadline_at=PhaseRun.soft_deadline_at + slept,
        hard_deadline_at=PhaseRun.hard_deadline_at + slept,
    )
    # Not a deadline: the moment that its runs' own is compared with.
    _move(session, PhaseRun, is_live, converge_at=PhaseRun.converge_at + slept)


def _shift_agent_runs(session: Session, slept: timedelta, since: Silence) -> None:
    is_ordered_since = AgentRun.stop_at.between(since.began_at, since.ended_at)
    said_at = select(func.max(Message.created_at)).where(
        Message.phase_run_id == AgentRun.phase_run_id, Message.from_role == AgentRun.role
    )
    active_at = func.greatest(AgentRun.last_active_at, AgentRun.started_at, said_at.scalar_subquery())
    _move(
        session,
        AgentRun,
        AgentRun.status.in_(LIVE_RUNS),
        stop_at=case((is_ordered_since, AgentRun.stop_at), else_=AgentRun.stop_at + slept),
        converge_at=AgentRun.converge_at + slept,
        lease_until=AgentRun.lease_until + slept,
    )
    _move(
        session,
        AgentRun,
        AgentRun.status == RunStatus.RUNNING,
        last_active_at=func.least(active_at + slept, since.ended_at),
    )


def _move(session: Session, table: type[Base], which: ColumnElement[bool], **moments: Any) -> None:
    statement = update(table).where(which).values(**moments)
    session.execute(statement.execution_options(synchronize_session=False))
