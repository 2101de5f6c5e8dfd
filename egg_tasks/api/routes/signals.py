"""What agents say of themselves, and what they may know."""

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel

from egg_tasks.adapters import workspace
from egg_tasks.api import verdicts
from egg_tasks.api.auth import Speaker
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.looking import LOOKS
from egg_tasks.api.tokens import Agent
from egg_tasks.api.verdicts import ReadinessAnswer
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.services import activity, briefs, looks, shares, signals
from egg_tasks.services.signals import Signal
from models.consensus.snapshot import BASE
from models.foreign import counted
from models.queries import agent_runs
from models.schemas.brief import Brief
from models.schemas.http import SignalIn, SignalType
from models.schemas.text import PipelineId
from models.shares import Share
from models.states import Failure

router = APIRouter(tags=["signals"])


class Noted(BaseModel):
    """A signal that is no verdict was taken."""

    signal_type: SignalType


class Synced(BaseModel):
    """What a clone holds of the others."""

    head: str
    seen: Mapping[str, int]


class ContextAnswer(BaseModel):
    """Everything a run should know now."""

    context: Brief


@router.post("/pipelines/{pipeline_id}/signal")  # noqa: FAST003 - `Speaker` reads it
def signal(body: SignalIn, who: Speaker) -> Envelope[ReadinessAnswer | Noted]:
    """Take a verdict, progress, a sign of life or an error of the agent whose credential this is."""
    who.must_be(role=body.role, pipeline_id=body.pipeline_id)
    if body.state is None:
        return _noted(body, who)
    said = Signal(
        state=body.state, reason=body.reason or "", on=body.on, about=body.about, answers=body.answers
    )
    answer = verdicts.take(who, said)
    return Envelope(message=f"{who.role} is {answer.readiness.state}", data=answer)


@router.post("/pipelines/{pipeline_id}/sync")
def sync(pipeline_id: PipelineId, who: Speaker) -> Envelope[Synced]:
    """Record which versions of the others the agent's clone holds."""
    with LOOKS.of(who.run_id):
        with single_statements() as session:
            shares.spend(session, run_id=who.run_id, share=Share.SYNC, now=utcnow())
        head = workspace().head(pipeline_id, clone=verdicts.clone(who))
        with single_statements() as session:
            reading = looks.read(session, run=agent_runs.get_agent_run(session, run_id=who.run_id))
        seen = looks.seen_in(workspace(), reading, commit=head)
    with unit_of_work() as session:
        signals.sync(session, run_id=who.run_id, seen=seen, now=utcnow())
    others = {role: number for role, number in seen.items() if role != BASE}
    return Envelope(
        message=f"{who.role} has seen {counted(len(others), 'other role')}",
        data=Synced(head=head, seen=others),
    )


@router.get("/pipelines/{pipeline_id}/context")
def context(pipeline_id: PipelineId, who: Speaker) -> Envelope[ContextAnswer]:
    """Say everything the run should know now, as its prompt did."""
    with unit_of_work() as session:
        brief = briefs.write(session, run=agent_runs.get_agent_run(session, run_id=who.run_id))
    return Envelope(message=f"{who.role} in {pipeline_id}", data=ContextAnswer(context=brief))


def _noted(body: SignalIn, who: Agent) -> Envelope[ReadinessAnswer | Noted]:
    text, now = body.reason or "", utcnow()
    with unit_of_work() as session:
        if body.signal_type is SignalType.PROGRESS:
            activity.progress(session, run_id=who.run_id, text=text, percent=body.percent, now=now)
        elif body.signal_type is SignalType.ERROR:
            kind = Failure(body.kind) if body.kind else None
            activity.error(session, run_id=who.run_id, text=text, kind=kind, retry_at=body.retry_at, now=now)
        else:
            activity.heartbeat(session, run_id=who.run_id, now=now)
    return Envelope(message=f"{body.signal_type} is noted", data=Noted(signal_type=body.signal_type))
