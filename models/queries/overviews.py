"""Reads over all pipelines: what runs, what went wrong last. A list is one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Integer, and_, case, extract, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session, defer

from models.errors import NotFound
from models.queries.inboxes import (
    DUE,
    HOLDS_NOBODY,
    HOLDS_PIPELINE,
    HOLDS_ROLES,
    IS_PAUSED,
    IS_PENDING,
    IS_QUESTION,
    IS_STOPPED,
    NEVER,
    RESTS,
)
from models.queries.places import STARTED
from models.states import LIVE_PHASES, LIVE_PIPELINES, LIVE_RUNS, PipelineStatus, RunStatus
from models.tables import AgentRun, Decision, Event, MessageStream, Node, PhaseRun, Pipeline, Role

LAST = 2**31 - 1
"""Comes after the number of every question."""


@dataclass(frozen=True)
class Running:
    """A pipeline that is not over, with its live phase run, and how many questions wait in it."""

    pipeline: Pipeline
    phase_run: PhaseRun
    questions: int


@dataclass(frozen=True)
class RoleNow:
    """A role of a phase run, with its live run's status, if it has one."""

    phase_run_id: UUID
    role: str
    state: str
    run_status: RunStatus | None


@dataclass(frozen=True)
class FailedRun:
    """A run that ended badly, and its phase."""

    run: AgentRun
    phase: str


@dataclass(frozen=True)
class FailedPipeline:
    """A pipeline that failed, when and why."""

    id: str
    at: datetime
    why: str


@dataclass(frozen=True)
class NodeUse:
    """A node, and how many of its places are taken."""

    name: str
    capacity: int
    taken: int
    contained: int
    """How many of those are in containers."""


@dataclass(frozen=True)
class Late:
    """How many phase runs nobody has looked at although their time has come, and since when the first."""

    number: int
    since: datetime | None


def list_running(session: Session, *, after: str | None, limit: int) -> Sequence[Running]:
    """Pipelines that are not over, what needs a person first, from behind the one called *after*.

    Those that ask come as their questions do, then the newest first; paused ones last.
    """
    asked = (
        select(
            Decision.pipeline_id,
            func.count().label("number"),
            func.min(case((IS_QUESTION, HOLDS_NOBODY), else_=HOLDS_ROLES)).label("urgency"),
            func.min(DUE).label("due"),
            func.min(Decision.id).label("first"),
        )
        .where(IS_PENDING)
        .group_by(Decision.pipeline_id)
        .subquery()
    )
    urgency = case(
        (IS_PAUSED, RESTS + 1), (IS_STOPPED, HOLDS_PIPELINE), else_=func.coalesce(asked.c.urgency, RESTS)
    )
    # The newest first: what is compared row by row has one direction.
    age = -extract("epoch", Pipeline.created_at)
    first = func.coalesce(asked.c.first, LAST)
    key = (urgency, func.coalesce(asked.c.due, literal(NEVER)), first, age, Pipeline.id)
    joined = (
        select(Pipeline, PhaseRun, func.coalesce(asked.c.number, 0))
        .join(PhaseRun, and_(PhaseRun.pipeline_id == Pipeline.id, PhaseRun.status.in_(LIVE_PHASES)))
        .outerjoin(asked, asked.c.pipeline_id == Pipeline.id)
        .where(Pipeline.status.in_(LIVE_PIPELINES))
    )
    if after is not None:
        last = select(*key).select_from(Pipeline).outerjoin(asked, asked.c.pipeline_id == Pipeline.id)
        found = session.execute(last.where(Pipeline.id == after)).one_or_none()
        if found is None:
            raise NotFound(f"there is no pipeline {after} to go on after; begin with the first page")
        joined = joined.where(tuple_(*key) > tuple_(*map(literal, found)))
    return [Running(*row) for row in session.execute(joined.order_by(*key).limit(limit))]


def count_running(session: Session) -> int:
    """How many pipelines are not over."""
    query = select(func.count()).where(PhaseRun.status.in_(LIVE_PHASES))
    return session.scalars(query).one()


def list_roles_now(session: Session, *, phase_run_ids: Sequence[UUID]) -> Sequence[RoleNow]:
    """The roles of these phase runs in roster order."""
    is_live = and_(
        AgentRun.phase_run_id == Role.phase_run_id, AgentRun.role == Role.role, AgentRun.status.in_(LIVE_RUNS)
    )
    query = (
        select(Role.phase_run_id, Role.role, Role.state, AgentRun.status)
        .outerjoin(AgentRun, is_live)
        .where(Role.phase_run_id.in_(phase_run_ids))
        .order_by(Role.phase_run_id, Role.position)
    )
    return [RoleNow(*row) for row in session.execute(query)]


def last_events(session: Session, *, pipeline_ids: Sequence[str]) -> Mapping[str, Event]:
    """The newest event of each of these pipelines, by pipeline; what it tells in JSON is not read."""
    is_last = and_(Event.pipeline_id == MessageStream.pipeline_id, Event.id == MessageStream.last_event_id)
    query = select(Event).join(MessageStream, is_last).where(MessageStream.pipeline_id.in_(pipeline_ids))
    return {row.pipeline_id: row for row in session.scalars(query.options(defer(Event.details)))}


def list_failed_runs(session: Session, *, limit: int) -> Sequence[FailedRun]:
    """The runs of roles and checks that ended badly last, the last one first."""
    query = (
        select(AgentRun, PhaseRun.phase)
        .join(PhaseRun, PhaseRun.id == AgentRun.phase_run_id)
        .where(AgentRun.failure.is_not(None), AgentRun.ended_at.is_not(None))
        .order_by(AgentRun.ended_at.desc())
        .limit(limit)
    )
    return [FailedRun(*row) for row in session.execute(query)]


def list_failed_pipelines(session: Session, *, limit: int) -> Sequence[FailedPipeline]:
    """The pipelines that failed last, the last one first; their definitions are not read."""
    query = (
        select(Pipeline.id, Pipeline.ended_at, func.coalesce(Pipeline.why, ""))
        .where(Pipeline.status == PipelineStatus.FAILED, Pipeline.ended_at.is_not(None))
        .order_by(Pipeline.ended_at.desc())
        .limit(limit)
    )
    return [FailedPipeline(name, at, why) for name, at, why in session.execute(query) if at is not None]


def list_nodes(session: Session) -> Sequence[NodeUse]:
    """The nodes by name, with the places that are taken."""
    taken = func.coalesce(func.count(AgentRun.id), 0).cast(Integer)
    contained = func.count(AgentRun.id).filter(AgentRun.isolation == "docker").cast(Integer)
    query = select(Node.name, Node.capacity, taken, contained).outerjoin(
        AgentRun, and_(AgentRun.node == Node.name, STARTED)
    )
    rows = session.execute(query.group_by(Node.name, Node.capacity).order_by(Node.name))
    return [NodeUse(*row) for row in rows]


def count_waiting_runs(session: Session) -> int:
    """How many runs wait for a place."""
    query = select(func.count()).where(AgentRun.status == RunStatus.QUEUED, AgentRun.closed_at.is_(None))
    return session.scalars(query.where(AgentRun.node.is_(None))).one()


def find_late(session: Session, *, now: datetime, grace: timedelta) -> Late:
    """The live phase runs whose time to be looked at was over *grace* ago; those of paused ones are not."""
    query = (
        select(func.count(), func.min(PhaseRun.next_evaluation_at))
        .join(Pipeline, Pipeline.id == PhaseRun.pipeline_id)
        .where(PhaseRun.status.in_(LIVE_PHASES), PhaseRun.next_evaluation_at < now - grace)
        .where(or_(IS_STOPPED, Pipeline.status == PipelineStatus.RUNNING))
    )
    return Late(*session.execute(query).one())
