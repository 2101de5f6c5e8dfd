"""Questions: what an agent or the operator asks a person. They hold nobody back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Notice
from egg_tasks.services import credentials
from egg_tasks.services.bus import shares
from egg_tasks.services.bus.messages import PERSON
from egg_tasks.services.engine import epochs, evaluation
from egg_tasks.services.engine.epochs import Epoch
from models.consensus.step import DecisionKind
from models.errors import Conflict
from models.events import EventType
from models.queries import agent_runs, decisions, phase_runs, pipelines
from models.shares import Share
from models.states import DecisionStatus, PhaseStatus
from models.tables import Decision

MAX_PENDING = 20
"""So many of one asker may wait for an answer; more than that no person reads."""


@dataclass(frozen=True)
class Question:
    """A question as it was asked."""

    text: str
    options: tuple[str, ...] = ()
    default: str | None = None
    is_free: bool = True
    after: timedelta | None = None
    """When its default is taken."""
    client_key: str | None = None


def ask(session: Session, *, run_id: UUID, question: Question, now: datetime) -> Decision:
    """Put an agent's question to a person; the same one again gives the decision that stands."""
    unlocked = agent_runs.get_agent_run(session, run_id=run_id)
    epoch = epochs.lock(session, phase_run_id=unlocked.phase_run_id, now=now)
    run = credentials.hold(session, run_id=run_id)
    assert run.role is not None, "a check has no token"  # noqa: S101
    return _put(epoch, run.role, question, run_id=run_id)


def create(session: Session, *, pipeline_id: str, question: Question, now: datetime) -> Decision:
    """Put the operator's question to whoever answers; it belongs to the phase that runs now."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=pipeline_id)
    if phase_run is None:
        raise Conflict(
            f"pipeline {pipeline_id} is {pipeline.status}: no phase runs to ask in",
            {"status": str(pipeline.status)},
        )
    epoch = epochs.lock(session, phase_run_id=phase_run.id, now=now)
    return _put(epoch, PERSON, question)


def _put(epoch: Epoch, asker: str, question: Question, run_id: UUID | None = None) -> Decision:
    key = f"question:{asker}:{question.client_key}"
    if question.client_key is not None:
        standing = decisions.find_decision(epoch.session, pipeline_id=epoch.pipeline.id, key=key)
        if standing is not None:
            return standing
    rows = decisions.list_decisions(epoch.session, phase_run_id=epoch.phase_run.id)
    open_ones = [row for row in rows if row.asked_by == asker and row.status is DecisionStatus.PENDING]
    for row in open_ones:
        if row.question == question.text:
            return row
    _refuse(epoch, asker, open_ones)
    if run_id is not None:
        size = len("".join((question.text, *question.options)).encode())
        shares.spend(epoch.session, run_id=run_id, share=Share.QUESTIONS, size=size, now=epoch.now)
    if question.client_key is None:
        key = f"question:{asker}#{len(rows) + 1}"
    decision = _decision(epoch, asker, question, key)
    decisions.add_decision(epoch.session, decision=decision)
    epoch.phase_run.facts += 1
    outbox.of(epoch.session).add(Notice(decision.id, 1, epoch.pipeline.id))
    text = f"decision {decision.id}, asked by {asker}: {question.text}"
    epoch.tell(EventType.DECISION_CREATED, text, role=None if asker == PERSON else asker)
    evaluation.settle(epoch)
    return decision


def _refuse(epoch: Epoch, asker: str, open_ones: Sequence[Decision]) -> None:
    if epoch.phase_run.status is PhaseStatus.CLOSING:
        raise Conflict(
            f"{epoch.phase_run.phase} is closing; no answer could reach it any more",
            {"phase_status": str(epoch.phase_run.status)},
        )
    if len(open_ones) >= MAX_PENDING:
        raise Conflict(
            f"{MAX_PENDING} questions of {asker} wait for an answer; ask again when some are answered",
            {"pending": [row.id for row in open_ones]},
        )


def _decision(epoch: Epoch, asker: str, question: Question, key: str) -> Decision:
    default = question.default or (question.options[0] if question.options else None)
    return Decision(
        pipeline_id=epoch.pipeline.id,
        phase_run_id=epoch.phase_run.id,
        key=key,
        kind=DecisionKind.QUESTION,
        question=question.text,
        options=list(question.options),
        default=default,
        is_free=question.is_free,
        asked_by=asker,
        roles=[],
        deadline=None if question.after is None else epoch.now + question.after,
        created_at=epoch.now,
        notify_after=epoch.now,
    )
