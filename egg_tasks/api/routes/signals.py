"""What agents say of themselves, and what they may know."""

from fastapi import APIRouter
from pydantic import BaseModel

from egg_tasks.api.auth import Speaker
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import agent_signals
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.use_cases import context as use_context
from egg_tasks.use_cases import readiness
from egg_tasks.use_cases import sync as use_case
from egg_tasks.use_cases.readiness import ReadinessAnswer
from egg_tasks.use_cases.sync import Synced
from models.foreign import counted
from models.schemas.brief import Context
from models.schemas.credential import CallingAgent
from models.schemas.http import SignalIn, SignalType
from models.schemas.text import PipelineId
from models.states import Failure

router = APIRouter(tags=["signals"])


class Noted(BaseModel):
    """A signal that is no verdict was taken."""

    signal_type: SignalType


class ContextAnswer(BaseModel):
    """Everything a run should know now."""

    context: Context


@router.post("/pipelines/{pipeline_id}/signal")  # noqa: FAST003 - `Speaker` reads it
def signal(body: SignalIn, who: Speaker) -> Envelope[ReadinessAnswer | Noted]:
    """Take a verdict, progress, a sign of life or an error of the agent whose credential this is."""
    who.must_be(role=body.role, pipeline_id=body.pipeline_id)
    if body.state is None:
        return _noted(body, who)
    said = Signal(
        state=body.state, reason=body.reason or "", on=body.on, about=body.about, answers=body.answers
    )
    answer = readiness.take(who, said)
    return Envelope(message=f"{who.role} is {answer.readiness.state}", data=answer)


@router.post("/pipelines/{pipeline_id}/sync")  # noqa: FAST003 - `Speaker` reads it
def sync(who: Speaker) -> Envelope[Synced]:
    """Record which versions of the others the agent's clone holds."""
    synced = use_case.note(who)
    return Envelope(
        message=f"{who.role} has seen {counted(len(synced.seen), 'other role')}",
        data=synced,
    )


@router.get("/pipelines/{pipeline_id}/context")
def context(pipeline_id: PipelineId, who: Speaker) -> Envelope[ContextAnswer]:
    """Say everything the run should know now, as its prompt did."""
    return Envelope(message=f"{who.role} in {pipeline_id}", data=ContextAnswer(context=use_context.of(who)))


def _noted(body: SignalIn, who: CallingAgent) -> Envelope[ReadinessAnswer | Noted]:
    text, now = body.reason or "", utcnow()
    with unit_of_work() as session:
        if body.signal_type is SignalType.PROGRESS:
            agent_signals.progress(session, run_id=who.run_id, text=text, percent=body.percent, now=now)
        elif body.signal_type is SignalType.ERROR:
            kind = Failure(body.kind) if body.kind else None
            agent_signals.error(
                session, run_id=who.run_id, text=text, kind=kind, retry_at=body.retry_at, now=now
            )
        else:
            agent_signals.heartbeat(session, run_id=who.run_id, now=now)
    return Envelope(message=f"{body.signal_type} is noted", data=Noted(signal_type=body.signal_type))
