"""Questions to a person over all pipelines. A list is one statement, whatever the number of pipelines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, case, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models.consensus.step import DecisionKind
from models.errors import NotFound
from models.states import DecisionStatus, PipelineStatus
from models.tables import Decision, PhaseRun, Pipeline

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
IS_PENDING = Decision.status == DecisionStatus.PENDING
IS_PAUSED = Pipeline.status == PipelineStatus.PAUSED
IS_STOPPED = Pipeline.status == PipelineStatus.AWAITING_HUMAN
IS_QUESTION = Decision.kind == DecisionKind.QUESTION

HOLDS_PIPELINE, HOLDS_ROLES, HOLDS_NOBODY, RESTS = range(4)
"""How urgent a question is: who waits for the answer. One of a paused pipeline rests with it."""
URGENCY = case(
    (IS_PAUSED, RESTS), (IS_STOPPED, HOLDS_PIPELINE), (IS_QUESTION, HOLDS_NOBODY), else_=HOLDS_ROLES
)
DUE = func.coalesce(Decision.deadline, literal(NEVER))


@dataclass(frozen=True)
class Asked:
    """A question, with the phase and the state of its pipeline, and how urgent it is."""

    decision: Decision
    phase: str
    pipeline_status: PipelineStatus
    urgency: int


def list_pending(session: Session, *, after: int | None, limit: int) -> Sequence[Asked]:
    """Unanswered questions of all pipelines, the most urgent first, from behind the one numbered *after*.

    Who holds up more comes first, then whose default is taken sooner, then who has waited longer. What
    becomes more or less urgent between two pages may be on both or on neither.
    """
    query = _asked().where(IS_PENDING).order_by(URGENCY, DUE, Decision.id).limit(limit)
    if after is not None:
        key = select(URGENCY, DUE).join(Pipeline, Pipeline.id == Decision.pipeline_id)
        found = session.execute(key.where(Decision.id == after)).one_or_none()
        if found is None:
            raise NotFound(f"there is no decision {after} to go on after; begin with the first page")
        query = query.where(tuple_(URGENCY, DUE, Decision.id) > tuple_(*map(literal, (*found, after))))
    return [Asked(*row) for row in session.execute(query)]


def list_asked(
    session: Session, *, status: DecisionStatus | None, after: int | None, limit: int
) -> Sequence[Asked]:
    """Questions of all pipelines in one state, or in any, newest first, from behind number *after*."""
    query = _asked().order_by(Decision.id.desc()).limit(limit)
    if status is not None:
        query = query.where(Decision.status == status)
    if after is not None:
        query = query.where(Decision.id < after)
    return [Asked(*row) for row in session.execute(query)]


def first_pending(session: Session, *, pipeline_ids: Sequence[str]) -> Mapping[str, Asked]:
    """The most urgent unanswered question of each of these pipelines that has one, by pipeline."""
    query = _asked().where(IS_PENDING, Decision.pipeline_id.in_(pipeline_ids))
    query = query.ext(distinct_on(Decision.pipeline_id)).order_by(
        Decision.pipeline_id, URGENCY, DUE, Decision.id
    )
    return {row[0].pipeline_id: Asked(*row) for row in session.execute(query)}


def _asked() -> Select[Decision, str, PipelineStatus, int]:
    return (
        select(Decision, PhaseRun.phase, Pipeline.status, URGENCY)
        .join(PhaseRun, PhaseRun.id == Decision.phase_run_id)
        .join(Pipeline, Pipeline.id == Decision.pipeline_id)
    )
