"""What rows say of what lies on a disk."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from models.states import PipelineStatus, is_final
from models.tables import AgentRun, Pipeline

ENDS = [status for status in PipelineStatus if is_final(status)]


def list_uncleared_agent_runs(session: Session) -> Sequence[AgentRun]:
    """Closed runs whose clones may go and did not yet, oldest first."""
    query = select(AgentRun).where(
        AgentRun.closed_at.is_not(None),
        AgentRun.clone_kept_at.is_(None),
        AgentRun.clone_removed_at.is_(None),
        or_(AgentRun.role.is_(None), func.cardinality(AgentRun.kept_paths) == 0),
    )
    return session.scalars(query.order_by(AgentRun.closed_at, AgentRun.id)).all()


def list_kept_agent_runs(session: Session) -> Sequence[AgentRun]:
    """Runs whose clones are put aside, oldest first."""
    query = select(AgentRun).where(AgentRun.clone_kept_at.is_not(None), AgentRun.clone_removed_at.is_(None))
    return session.scalars(query.order_by(AgentRun.clone_kept_at, AgentRun.id)).all()


def list_ended_pipelines(session: Session, *, among: Iterable[str]) -> Sequence[str]:
    """Those of these pipelines that are over, and all of whose runs are, in order of their names."""
    lives = select(AgentRun.id).where(AgentRun.pipeline_id == Pipeline.id, AgentRun.closed_at.is_(None))
    query = select(Pipeline.id).where(Pipeline.id.in_(list(among)), Pipeline.status.in_(ENDS))
    return session.scalars(query.where(~lives.exists()).order_by(Pipeline.id)).all()


def known_pipelines(session: Session, *, among: Iterable[str]) -> frozenset[str]:
    """Those of these that are pipelines, also such as are to go."""
    return frozenset(session.scalars(select(Pipeline.id).where(Pipeline.id.in_(list(among)))))


def unclosed_agent_runs(session: Session, *, among: Iterable[UUID]) -> frozenset[UUID]:
    """Those of these that are agent runs which somebody attends, or is to."""
    query = select(AgentRun.id).where(AgentRun.id.in_(list(among)), AgentRun.closed_at.is_(None))
    return frozenset(session.scalars(query))


def known_agent_runs(session: Session, *, among: Iterable[UUID]) -> frozenset[UUID]:
    """Those of these that are agent runs."""
    return frozenset(session.scalars(select(AgentRun.id).where(AgentRun.id.in_(list(among)))))
