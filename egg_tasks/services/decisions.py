"""Decisions: a person's answer and its effect, in one transaction."""

from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.services import deadlines, journal, phases, receipts
from egg_tasks.services.effects import Effects
from egg_tasks.services.verdicts import Epoch
from models.consensus.verdict import CONTINUE, CONTINUE_WAITING, OVERRIDE, RETRY, WAIT
from models.errors import Conflict, Unprocessable
from models.queries import decisions, phase_runs, versions
from models.states import LIVE_OBJECTIONS, DecisionStatus, ObjectionStatus
from models.tables import Decision, Role, move_to


def resolve(session: Session, *, decision_id: int, resolution: str, now: datetime) -> Effects:
    """Answer a pending question and go on; `Conflict` when it is answered or cancelled already."""
    unlocked = decisions.get_decision(session, decision_id=decision_id)
    epoch = phases.lock_epoch(session, phase_run_id=unlocked.phase_run_id, now=now)
    decision = decisions.get_decision(session, decision_id=decision_id)
    if decision.status is not DecisionStatus.PENDING:
        answer = f": {decision.resolution}" if decision.resolution else ""
        raise Conflict(
            f"decision {decision_id} is {decision.status} already{answer}", {"status": str(decision.status)}
        )
    decision.resolution = _option(decision, resolution)
    move_to(decision, DecisionStatus.RESOLVED)
    decision.resolved_at = now
    _take_effect(session, epoch, decision)
    epoch.phase_run.facts += 1
    text = f"decision {decision_id} is answered: {decision.resolution}"
    journal.record(
        session, "decision.resolved", text, now=now, pipeline=epoch.pipeline, phase_run=epoch.phase_run
    )
    return phases.settle(session, epoch)


def _option(decision: Decision, words: str) -> str:
    """The option meant: its exact words, or the start of exactly one, in any case."""
    if words in decision.options:
        return words
    meant = [option for option in decision.options if option.lower().startswith(words.strip().lower())]
    if len(meant) != 1 or not words.strip():
        options = " / ".join(decision.options)
        raise Unprocessable(
            f"decision {decision.id} has no option {words!r}; answer one of: {options}",
            {"options": decision.options},
        )
    return meant[0]


def _take_effect(session: Session, epoch: Epoch, decision: Decision) -> None:
    """Write what the answer changes; aborting and accepting are for `decide` to read."""
    roles = [
        phase_runs.get_role(session, phase_run_id=epoch.phase_run.id, role=role) for role in decision.roles
    ]
    if decision.resolution == OVERRIDE:
        _override(session, epoch)
    if decision.resolution == CONTINUE_WAITING:
        deadlines.renew(session, epoch)
    for role in roles:
        _answer_role(role, decision)
        if role.is_dropped:
            receipts.bounce(session, phase_run=epoch.phase_run, role=role, now=epoch.now)


def _answer_role(role: Role, decision: Decision) -> None:
    if decision.resolution == CONTINUE:
        role.is_dropped = True
    if decision.resolution == RETRY:
        role.owed_by_decision, role.runs, role.extra_rounds = decision.id, 0, 0
    if decision.resolution == WAIT:
        role.owed_by_decision = decision.id
        role.extra_rounds += 1


def _override(session: Session, epoch: Epoch) -> None:
    for objection in versions.list_objections(session, phase_run_id=epoch.phase_run.id):
        if objection.status in LIVE_OBJECTIONS:
            move_to(objection, ObjectionStatus.OVERRULED)
            text = f"objection {objection.number} by {objection.from_role} is overruled by a person"
            journal.record(
                session,
                "objection.overruled",
                text,
                now=epoch.now,
                pipeline=epoch.pipeline,
                phase_run=epoch.phase_run,
                role=objection.about_role,
            )
