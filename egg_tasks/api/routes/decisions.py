"""Questions to a person, and the answers."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel
from sqlalchemy.orm import Session

from egg_tasks.api.auth import OPERATOR, AnyCaller, Member
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.people import decisions, questions
from egg_tasks.services.reads import pipeline_status
from models.errors import NotFound
from models.foreign import counted
from models.queries import pipelines
from models.schemas.credential import CallingAgent
from models.schemas.http import DecisionAnswer, QuestionIn
from models.schemas.report import DecisionRead
from models.schemas.text import PipelineId
from models.states import DecisionStatus

router = APIRouter(tags=["decisions"])

DecisionId = Annotated[int, Path(ge=1, le=2**31 - 1)]


class DecisionsFound(BaseModel):
    """Questions, by number."""

    decisions: tuple[DecisionRead, ...]


class DecisionFound(BaseModel):
    """One question."""

    decision: DecisionRead


@router.get("/decisions/{decision_id}")
def find(decision_id: DecisionId, who: AnyCaller) -> Envelope[DecisionFound]:
    """Show a question of whatever pipeline; to an agent only its own pipeline has any."""
    with unit_of_work() as session:
        if isinstance(who, CallingAgent):
            found = _of(session, who.pipeline_id, decision_id)
        else:
            found = pipeline_status.decision(session, decision_id=decision_id)
    return _answer(_as_shown(found, who))


@router.get("/pipelines/{pipeline_id}/decisions")
def list_(
    pipeline_id: PipelineId, who: Member, status: DecisionStatus | None = None
) -> Envelope[DecisionsFound]:
    """List the questions of a pipeline."""
    with unit_of_work() as session:
        pipelines.get_pipeline(session, pipeline_id=pipeline_id)
        found = pipeline_status.list_decisions(session, pipeline_id=pipeline_id, status=status)
    shown = tuple(_as_shown(each, who) for each in found)
    return Envelope(message=counted(len(found), "decision"), data=DecisionsFound(decisions=shown))


@router.post("/pipelines/{pipeline_id}/decisions", status_code=201)
def ask(pipeline_id: PipelineId, body: QuestionIn, who: Member) -> Envelope[DecisionFound]:
    """Ask a person without waiting; asked again in the same words, nothing is asked twice."""
    question = questions.Question(
        text=body.question,
        options=body.options,
        default=body.default,
        is_free=body.free or not body.options,
        after=None if body.after_minutes is None else timedelta(minutes=body.after_minutes),
        client_key=body.client_key,
    )
    with unit_of_work() as session:
        if isinstance(who, CallingAgent):
            asked = questions.ask(session, run_id=who.run_id, question=question, now=utcnow())
        else:
            asked = questions.create(session, pipeline_id=pipeline_id, question=question, now=utcnow())
        found = pipeline_status.decision(session, decision_id=asked.id)
    return _answer(found)


@router.get("/pipelines/{pipeline_id}/decisions/{decision_id}")
def get(pipeline_id: PipelineId, decision_id: DecisionId, who: Member) -> Envelope[DecisionFound]:
    """Show a question."""
    with unit_of_work() as session:
        found = _of(session, pipeline_id, decision_id)
    return _answer(_as_shown(found, who))


@router.post("/pipelines/{pipeline_id}/decisions/{decision_id}/resolve", dependencies=[OPERATOR])
def resolve(
    pipeline_id: PipelineId, decision_id: DecisionId, answer: DecisionAnswer
) -> Envelope[DecisionFound]:
    """Answer a question; the answer and what follows from it are one."""
    with unit_of_work() as session:
        _of(session, pipeline_id, decision_id)
        decisions.resolve(session, decision_id=decision_id, resolution=answer.resolution, now=utcnow())
        found = pipeline_status.decision(session, decision_id=decision_id)
    return _answer(found)


def _of(session: Session, pipeline_id: str, decision_id: int) -> DecisionRead:
    """A pipeline's question; another's is not told from one that nobody ever asked."""
    unknown = NotFound(
        f"pipeline {pipeline_id} has no decision {decision_id}; see `egg decision list {pipeline_id}`"
    )
    try:
        found = pipeline_status.decision(session, decision_id=decision_id)
    except NotFound:
        raise unknown from None
    if found.pipeline_id != pipeline_id:
        raise unknown
    return found


def _as_shown(found: DecisionRead, who: object) -> DecisionRead:
    """A question as its reader sees it: to an agent the output of others is not shown."""
    return found.model_copy(update={"failures": ()}) if isinstance(who, CallingAgent) else found


def _answer(found: DecisionRead) -> Envelope[DecisionFound]:
    return Envelope(message=f"decision {found.id} is {found.status}", data=DecisionFound(decision=found))
