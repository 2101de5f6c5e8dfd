"""Decisions, as tasks: people are told of them."""

from egg_tasks.app import app
from egg_tasks.outbox import Notice
from egg_tasks.use_cases.telling import TELLERS


@app.task(name="decisions.notify")  # type: ignore[untyped-decorator]
def notify(decision_id: int, number: int) -> None:
    """Have the webhook told of a decision. Safe twice: a try that was begun is not begun again."""
    TELLERS.take(Notice(decision_id, number))
