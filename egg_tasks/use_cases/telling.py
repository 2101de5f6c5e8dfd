"""Telling people of decisions, by the webhook."""

import queue
import threading
from collections.abc import Callable

import structlog

from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.outbox import Notice
from egg_tasks.services.people import notifications
from egg_tasks.webhook import tell
from models.errors import Unavailable

log = structlog.get_logger()

TELLING = 2
MOST_WAITING = 100


class Tellers:
    """Threads that tell the webhook, so that a slow receiver keeps no other task of this worker waiting.

    What they lose or have no room for was not begun: the reconciler sends it again.
    """

    def __init__(self, make: Callable[[Notice], None]) -> None:
        self._make = make
        self._waiting: queue.Queue[Notice] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._taken: set[int] = set()
        self._threads: list[threading.Thread] = []

    def take(self, attempt: Notice) -> bool:
        """Have a try made soon; whether there was room, and no other of its decision."""
        with self._lock:
            if attempt.decision_id in self._taken or self._waiting.full():
                return False
            self._taken.add(attempt.decision_id)
            self._waiting.put_nowait(attempt)
            if len(self._threads) < TELLING:
                self._threads.append(threading.Thread(target=self._tell_for_ever, name="teller", daemon=True))
                self._threads[-1].start()
        return True

    def _tell_for_ever(self) -> None:
        while True:
            attempt = self._waiting.get()
            try:
                self._make(attempt)
            except Unavailable as error:
                log.warning("notice.waits", decision=attempt.decision_id, error=error.message)
            except Exception:
                # Whoever waits for the next notice must not wait for ever.
                log.exception("notice.failed", decision=attempt.decision_id)
            with self._lock:
                self._taken.discard(attempt.decision_id)


def make(attempt: Notice) -> None:
    """Make one try; what fails is tried again later by the reconciler."""
    webhook = settings().webhook
    if webhook is None:
        return
    with unit_of_work() as session:
        content = notifications.begin(session, attempt=attempt, now=utcnow())
    if content is None:
        return
    why = tell(webhook, content, message_id=f"decision-{attempt.decision_id}", now=utcnow())
    if why is None:
        with unit_of_work() as session:
            notifications.told(session, decision_id=attempt.decision_id)
    elif notifications.BOUND.is_over(attempt.number):
        log.warning("notice.given_up", decision=attempt.decision_id, tries=attempt.number, why=why)
    else:
        log.info("notice.failed", decision=attempt.decision_id, tries=attempt.number, why=why)


TELLERS = Tellers(make)
