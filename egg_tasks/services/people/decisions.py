"""Decisions: a person's answer and its effect, in one transaction."""

from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Evaluation
from egg_tasks.services.bus import events, messages, receipts
from egg_tasks.services.bus.messages import PERSON, Draft
from egg_tasks.services.engine import bases, epochs, evaluation, sleep, steps
from egg_tasks.services.engine.epochs import Epoch
from models.consensus.step import (
    ASKED_FOR_WORDS,
    CONTINUE,
    CONTINUE_WAITING,
    OVERRIDE,
    RETRY,
    WAIT,
    DecisionKind,
)
from models.errors import Conflict, Unprocessable
from models.events import EventType
from models.queries import decisions, phase_runs, versions
from models.schemas.message import TO_ALL, MessageType
from models.states import LIVE_OBJECTIONS, DecisionStatus, ObjectionStatus, PipelineStatus
from models.tables import Decision, Role, move_to

MAX_WORDS = 4000


def resolve(session: Session, *, decision_id: int, resolution: str, now: datetime) -> None:
    """Answer a pending question and go on; `Conflict` when it is answered or cancelled already."""
    epoch, decision = _lock(session, decision_id, now)
    if decision.status is not DecisionStatus.PENDING:
        answer = f": {decision.resolution}" if decision.resolution else ""
        raise Conflict(
            f"decision {decision_id} is {decision.status} already{answer}",
            {"status": str(decision.status), "resolution": decision.resolution},
        )
    decision.resolution = _option(decision, resolution)
    _answered(epoch, decision, DecisionStatus.RESOLVED)


def default(session: Session, *, decision_id: int, now: datetime) -> None:
    """Give a question its default if it is past its deadline; what follows is as after an answer.

    Safe at any time: one that was answered, or whose pipeline is paused, stays as it is.
    """
    epoch, decision = _lock(session, decision_id, now)
    is_overdue = decision.deadline is not None and decision.deadline <= sleep.latest(session, now=now)
    is_waiting = (
        decision.status is not DecisionStatus.PENDING or epoch.pipeline.status is PipelineStatus.PAUSED
    )
    if not is_overdue or is_waiting or decision.default is None:
        return
    decision.resolution = decision.default
    _answered(epoch, decision, DecisionStatus.DEFAULTED)


def order(epoch: Epoch, resolution: str, *, role: str | None = None) -> None:
    """Write down what a person decided unasked about a phase or one role of it, and go on."""
    number = len(decisions.list_decisions(epoch.session, phase_run_id=epoch.phase_run.id)) + 1
    decision = Decision(
        pipeline_id=epoch.pipeline.id,
        phase_run_id=epoch.phase_run.id,
        key=f"order:{number}",
        kind=DecisionKind.ORDER,
        question=f"Nobody asked: a person decides about {role or epoch.phase_run.phase}.",
        options=[resolution],
        default=resolution,
        asked_by=PERSON,
        roles=[role] if role else [],
        created_at=epoch.now,
    )
    decisions.add_decision(epoch.session, decision=decision)
    decision.resolution = resolution
    _answered(epoch, decision, DecisionStatus.RESOLVED)


def _lock(session: Session, decision_id: int, now: datetime) -> tuple[Epoch, Decision]:
    unlocked = decisions.get_decision(session, decision_id=decision_id)
    epoch = epochs.lock(session, phase_run_id=unlocked.phase_run_id, now=now)
    return epoch, decisions.lock_decision(session, decision_id=decision_id)


def _answered(epoch: Epoch, decision: Decision, status: DecisionStatus) -> None:
    """Write the answer and its effect."""
    move_to(decision, status)
    decision.resolved_at, decision.notify_after = epoch.now, None
    if decision.kind in ASKED_FOR_WORDS:
        _tell(epoch, decision)
    else:
        _take_effect(epoch, decision)
    epoch.phase_run.facts += 1
    is_answered = status is DecisionStatus.RESOLVED
    how = "is answered" if is_answered else "was not answered in time and takes its default"
    kind = EventType.DECISION_RESOLVED if is_answered else EventType.DECISION_DEFAULTED
    epoch.tell(kind, f"decision {decision.id} {how}: {decision.resolution}")
    if decision.kind is DecisionKind.QUESTION:
        # The message that wakes the asking role has no number yet: before it has, nobody would seem due.
        outbox.of(epoch.session).add(Evaluation(epoch.phase_run.id, epoch.pipeline.id))
    else:
        evaluation.settle(epoch)


def _tell(epoch: Epoch, decision: Decision) -> None:
    """Tell agents the answer as a directive: the role that asked, which it wakes, or all."""
    roles = phase_runs.list_roles(epoch.session, phase_run_id=epoch.phase_run.id)
    present = {role.role for role in roles if not role.is_dropped}
    draft = Draft(
        MessageType.DIRECTIVE,
        to_role=decision.asked_by if decision.asked_by in present else TO_ALL,
        subject=f"decision {decision.id}: {decision.question}"[: events.MAX_SUBJECT],
        body=decision.resolution or "",
        metadata={"decision": decision.id},
    )
    messages.send(epoch.session, pipeline=epoch.pipeline, sender=PERSON, draft=draft, now=epoch.now)


def _option(decision: Decision, words: str) -> str:
    """The option meant: its exact words, or the start of just one, in any case; if free, else the words."""
    if words in decision.options:
        return words
    meant = [option for option in decision.options if option.lower().startswith(words.strip().lower())]
    if decision.is_free and words.strip() and len(meant) != 1:
        return _free(words)
    if len(meant) != 1 or not words.strip():
        options = " / ".join(decision.options)
        raise Unprocessable(
            f"decision {decision.id} has no option {words!r}; answer one of: {options}",
            {"options": decision.options},
        )
    return meant[0]


def _free(words: str) -> str:
    if len(words) > MAX_WORDS:
        raise Unprocessable(
            f"an answer in your own words has at most {MAX_WORDS} characters, not {len(words)};"
            " put the rest into a message: egg message send"
        )
    return words


def _take_effect(epoch: Epoch, decision: Decision) -> None:
    """Write what the answer changes; aborting and accepting are for `decide` to read."""
    if decision.kind is DecisionKind.REBASE:
        bases.answer(epoch.session, epoch.pipeline, decision, now=epoch.now)
    roles = [
        phase_runs.get_role(epoch.session, phase_run_id=epoch.phase_run.id, role=role)
        for role in decision.roles
    ]
    if decision.resolution == OVERRIDE:
        _override(epoch)
    if decision.resolution == CONTINUE_WAITING:
        steps.renew(epoch)
    for role in roles:
        _answer_role(role, decision)
        if role.is_dropped:
            receipts.bounce(epoch.session, phase_run=epoch.phase_run, role=role, now=epoch.now)


def _answer_role(role: Role, decision: Decision) -> None:
    if decision.resolution == CONTINUE:
        role.is_dropped = True
    if decision.resolution == RETRY:
        role.owed_by_decision, role.runs, role.extra_rounds = decision.id, 0, 0
    if decision.resolution == WAIT:
        role.owed_by_decision = decision.id
        role.extra_rounds += 1


def _override(epoch: Epoch) -> None:
    for objection in versions.list_objections(epoch.session, phase_run_id=epoch.phase_run.id):
        if objection.status in LIVE_OBJECTIONS:
            move_to(objection, ObjectionStatus.OVERRULED)
            text = f"objection {objection.number} by {objection.from_role} is overruled by a person"
            epoch.tell(EventType.OBJECTION_OVERRULED, text, role=objection.about_role)
