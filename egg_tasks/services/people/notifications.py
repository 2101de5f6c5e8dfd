"""Notices: people hear of a decision by the installation's webhook. The outbox is the decision's own row."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Notice
from egg_tasks.services.engine import failures
from models.answers import after_a_mend, usual
from models.events import EventType
from models.queries import decisions, phase_runs
from models.schemas.report import FailureRead
from models.states import DecisionStatus
from models.tables import Decision
from models.tries import BOUNDS, Work

BOUND = BOUNDS[Work.NOTICE]


def send_due(session: Session, *, now: datetime, limit: int) -> int:
    """Send the tries that are due, each put off by its pause so that nobody else sends it; how many."""
    rows = decisions.claim_untold_decisions(session, now=now, limit=limit, max_tries=BOUND.most)
    for row in rows:
        outbox.of(session).add(Notice(row.id, row.notices + 1, row.pipeline_id))
        row.notify_after = now + BOUND.pause(row.notices + 1)
    return len(rows)


def begin(session: Session, *, attempt: Notice, now: datetime) -> dict[str, object] | None:
    """Count a try, and give what is to be said; None when it was made before, or there is nothing to say."""
    row = decisions.lock_decision(session, decision_id=attempt.decision_id)
    is_wanted = row.status is DecisionStatus.PENDING and row.notify_after is not None
    if not is_wanted or row.notices >= attempt.number:
        return None
    row.notices = attempt.number
    row.notify_after = now + BOUND.pause(attempt.number)
    phase = phase_runs.get_phase_run(session, phase_run_id=row.phase_run_id).phase
    return _content(row, phase=phase, failed=failures.of_decisions(session, [row]).get(row.id, ()))


def told(session: Session, *, decision_id: int) -> None:
    """Note that somebody has heard of the decision."""
    decisions.lock_decision(session, decision_id=decision_id).notify_after = None


def _content(row: Decision, *, phase: str, failed: Sequence[FailureRead]) -> dict[str, object]:
    return {
        "type": EventType.DECISION_CREATED,
        "timestamp": row.created_at.isoformat(),
        "pipeline": row.pipeline_id,
        "phase": phase,
        "decision": {
            "id": row.id,
            "kind": str(row.kind),
            "question": row.question,
            "options": row.options,
            "default": row.default,
            "is_free": row.is_free,
            "asked_by": row.asked_by,
            "deadline": row.deadline.isoformat() if row.deadline else None,
            "failures": [each.model_dump(mode="json") for each in failed],
        },
        "how_to_answer": usual(row.id, options=row.options),
        "note": after_a_mend(row.pipeline_id, row.options),
    }
