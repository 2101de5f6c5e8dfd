"""Reads that serve reports only."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models.states import DecisionStatus
from models.tables import AgentRun, Decision, MessageStream, PhaseRun, Pipeline


def last_phase_runs(session: Session, *, pipeline_ids: Sequence[str]) -> Mapping[str, PhaseRun]:
    """The newest phase run of each of these pipelines that has one, by pipeline."""
    query = (
        select(PhaseRun)
        .where(PhaseRun.pipeline_id.in_(pipeline_ids))
        .ext(distinct_on(PhaseRun.pipeline_id))
        .order_by(PhaseRun.pipeline_id, PhaseRun.position.desc(), PhaseRun.iteration.desc())
    )
    return {row.pipeline_id: row for row in session.scalars(query)}


def last_event_id(session: Session, *, pipeline_id: str) -> int:
    """The number of the pipeline's newest event."""
    query = select(MessageStream.last_event_id).where(MessageStream.pipeline_id == pipeline_id)
    return session.scalars(query).one()


def count_pipelines(session: Session) -> Mapping[str, int]:
    """How many pipelines there are, by status."""
    rows = session.execute(select(Pipeline.status, func.count()).group_by(Pipeline.status))
    return {str(status): number for status, number in rows}


def count_agent_runs(session: Session) -> Mapping[str, int]:
    """How many agent runs there are, by status."""
    rows = session.execute(select(AgentRun.status, func.count()).group_by(AgentRun.status))
    return {str(status): number for status, number in rows}


def count_messages(session: Session) -> int:
    """How many messages there are: ids are gapless, so the counters say."""
    query = select(func.coalesce(func.sum(MessageStream.last_message_id), 0))
    return int(session.scalars(query).one())


def count_events(session: Session) -> int:
    """How many events there are."""
    return int(session.scalars(select(func.coalesce(func.sum(MessageStream.last_event_id), 0))).one())


def count_pending_decisions(session: Session) -> int:
    """How many questions wait for a person."""
    query = select(func.count()).where(Decision.status == DecisionStatus.PENDING)
    return session.scalars(query).one()
