"""Places on nodes, and the runs that wait for one."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from models.states import RunStatus
from models.tables import AgentRun, Node

STARTED = and_(AgentRun.closed_at.is_(None), AgentRun.node.is_not(None))
"""It takes a place: it was given to a machine, and is not yet stopped and safe there."""


def has_waiting_agent_runs(session: Session, *, now: datetime) -> bool:
    """Whether a run that was never started is to be sent."""
    return bool(session.scalar(select(exists().where(_waits(now)))))


def count_free_places(session: Session) -> int | None:
    """How many more runs the known nodes may start; None while no node is known."""
    taken = select(AgentRun.node, func.count().label("taken")).where(STARTED).group_by(AgentRun.node)
    used = taken.subquery()
    free = func.greatest(Node.capacity - func.coalesce(used.c.taken, 0), 0)
    query = select(func.sum(free)).outerjoin(used, used.c.node == Node.name)
    found = session.scalar(query)
    return None if found is None else int(found)


def claim_waiting_agent_runs(session: Session, *, now: datetime, limit: int) -> Sequence[AgentRun]:
    """Lock up to *limit* runs that were never started and are to be sent; skips locked ones.

    The pipelines with the fewest started runs come first, one run of each in turn; among equals the one
    for which nothing was started for longest, its oldest run first.
    """
    waiting = select(AgentRun.pipeline_id).where(_waits(now))
    shares = (
        select(
            AgentRun.pipeline_id,
            func.count().filter(STARTED).label("live"),
            func.max(AgentRun.started_at).label("served_at"),
        )
        .where(AgentRun.pipeline_id.in_(waiting))
        .group_by(AgentRun.pipeline_id)
        .subquery()
    )
    oldest_first = (AgentRun.created_at, AgentRun.id)
    turn = func.row_number().over(partition_by=AgentRun.pipeline_id, order_by=oldest_first) + shares.c.live
    ranked = (
        select(AgentRun.id, turn.label("turn"), shares.c.served_at)
        .join(shares, shares.c.pipeline_id == AgentRun.pipeline_id)
        .where(_waits(now))
        .subquery()
    )
    query = (
        select(AgentRun)
        .join(ranked, ranked.c.id == AgentRun.id)
        .where(_waits(now))
        .order_by(ranked.c.turn, ranked.c.served_at.nulls_first(), *oldest_first)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True, of=AgentRun)
    )
    return session.scalars(query.execution_options(populate_existing=True)).all()


def lock_unattended_agent_runs(session: Session) -> Sequence[AgentRun]:
    """Lock the runs that are to start or were about to and that nobody attends, in id order."""
    query = select(AgentRun).where(
        AgentRun.status.in_((RunStatus.QUEUED, RunStatus.STARTING)), AgentRun.lease_owner.is_(None)
    )
    query = query.order_by(AgentRun.id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def lock_started_agent_runs(session: Session) -> Sequence[AgentRun]:
    """Lock the live runs that were given to a machine, of all pipelines, in id order."""
    query = select(AgentRun).where(
        AgentRun.status.in_((RunStatus.STARTING, RunStatus.RUNNING)), AgentRun.closed_at.is_(None)
    )
    query = query.order_by(AgentRun.id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _waits(now: datetime) -> ColumnElement[bool]:
    return and_(
        AgentRun.status == RunStatus.QUEUED,
        AgentRun.node.is_(None),
        AgentRun.closed_at.is_(None),
        AgentRun.send_after <= now,
        or_(AgentRun.stop_at.is_(None), AgentRun.stop_at > now),
    )
