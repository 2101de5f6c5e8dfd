"""Decisions, as tasks: people are told of them."""

import structlog

from egg_tasks.app import app
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services import notices
from egg_tasks.services.notices import Try
from egg_tasks.webhook import tell

log = structlog.get_logger()


@app.task(name="decisions.notify")  # type: ignore[untyped-decorator]
def notify(decision_id: int, number: int) -> None:
    """Tell the webhook of a decision. Safe twice: a try that was begun is not begun again."""
    make(Try(decision_id, number))


def make(attempt: Try) -> None:
    """Make one try; what fails is tried again later by the reconciler."""
    webhook = settings().webhook
    if webhook is None:
        return
    with unit_of_work() as session:
        content = notices.begin(session, attempt=attempt, now=utcnow())
    if content is None:
        return
    why = tell(webhook, content, message_id=f"decision-{attempt.decision_id}", now=utcnow())
    if why is None:
        with unit_of_work() as session:
            notices.told(session, decision_id=attempt.decision_id)
    elif attempt.number >= notices.MAX_TRIES:
        log.warning("notice.given_up", decision=attempt.decision_id, tries=attempt.number, why=why)
    else:
        log.info("notice.failed", decision=attempt.decision_id, tries=attempt.number, why=why)
