"""The reconciler: finds what waits and takes it down the normal path again. It needs only PostgreSQL."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from egg_tasks import database, logging, outbox
from egg_tasks.app import answer_quickly
from egg_tasks.clock import utcnow
from egg_tasks.config import settings, settings_at_start
from egg_tasks.database import advisory_lock, unit_of_work
from egg_tasks.outbox import Clearing, Deletion, Preparation, Publication, RebaseKey, VersionKey
from egg_tasks.services.agents import clones, deletions, scheduling
from egg_tasks.services.engine import evaluation
from egg_tasks.services.people import decisions, notifications
from egg_tasks.tasks.dispatch import TaskSender, send_ending_of_strangers, send_tidying
from egg_tasks.use_cases import ticking
from models.errors import Unavailable
from models.queries import decisions as decision_rows
from models.queries import overviews, phase_runs, pipelines, rebases, repairs, versions
from models.tries import BOUNDS, Bound, Work

log = structlog.get_logger()

Row = TypeVar("Row", UUID, int)

INTERVAL = timedelta(seconds=2)
BATCH = 100
MAX_RESEND = timedelta(seconds=60)
MERGE_RESEND = timedelta(seconds=15)
PUBLISH_RESEND = timedelta(seconds=15)
TIDY_EVERY = timedelta(minutes=10)
NEVER = datetime.max.replace(tzinfo=UTC)
LOCK = 0x6567_6772_6563_6F6E
"""The advisory lock that lets one reconciler work at a time ("eggrecon")."""


def main() -> None:
    """Reconcile until asked to end."""
    logging.configure()
    settings_at_start()
    answer_quickly()
    database.use(TaskSender())
    ticking.start()
    log.info("reconciler.started")
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    while not ending.is_set():
        logging.beat()
        try:
            with advisory_lock(LOCK) as is_held:
                try_held_up_again()
                while is_held() and not ending.wait(INTERVAL.total_seconds()):
                    reconcile()
        except Unavailable as error:
            log.warning("reconciler.waits", error=error.message)
        ending.wait(INTERVAL.total_seconds())


def try_held_up_again() -> None:
    """Have tried again what was given up: whoever starts the stack has perhaps mended what was the matter."""
    with unit_of_work() as session:
        found = pipelines.forget_tries(session)
    if found:
        log.info("reconcile.tried_again", pipelines=found)


def reconcile() -> None:
    """Make one round over everything that may wait; one kind that fails does not stop the others."""
    kinds: tuple[Callable[[], int], ...] = (
        evaluate_due,
        send_unattended_runs,
        send_unattended_merges,
        send_unattended_rebases,
        prepare_pipelines,
        publish_branches,
        default_decisions,
        send_notices,
        delete_pipelines,
        clear_runs,
        tidy_disk,
        end_strangers,
    )
    for kind in kinds:
        logging.beat()
        try:
            found = kind()
        except Unavailable as error:
            log.warning("reconcile.unavailable", kind=kind.__name__, error=error.message)
            continue
        except Exception:
            # One row that cannot be driven must not keep all others waiting.
            log.exception("reconcile.failed", kind=kind.__name__)
            continue
        if found:
            _count(kind.__name__, found)
            log.info("reconcile.repaired", kind=kind.__name__, found=found)


def _count(kind: str, found: int) -> None:
    """Note what was found where `/metrics` reads it; a repair that was made is worth more than its count."""
    try:
        with unit_of_work() as session:
            repairs.add_repairs(session, kind=kind, number=found)
    except Unavailable as error:
        log.warning("reconcile.uncounted", kind=kind, found=found, error=error.message)


@dataclass
class Failing(Generic[Row]):
    """Rows that could not be driven: each is left alone for longer each time, so that others have room.

    One that was tried often enough is left alone as long as this process lives.
    """

    bound: Bound
    failures: dict[Row, int] = field(default_factory=dict)
    until: dict[Row, datetime] = field(default_factory=dict)

    def left_alone(self, *, now: datetime) -> list[Row]:
        """The rows whose next try is still to come."""
        return [row for row, until in self.until.items() if until > now]

    def drive(self, row: Row, act: Callable[[], None]) -> bool:
        """Do something for a row; whether it went well. What went wrong is logged, and put off."""
        try:
            act()
        except Unavailable as error:
            log.warning("reconcile.unavailable", row=str(row), error=error.message)
            return False
        except Exception:
            log.exception("reconcile.failed", row=str(row))
            self._put_off(row)
            return False
        self.failures.pop(row, None)
        self.until.pop(row, None)
        return True

    def _put_off(self, row: Row) -> None:
        tries = self.failures[row] = self.failures.get(row, 0) + 1
        self.until[row] = utcnow() + self.bound.pause(tries)
        if self.bound.is_over(tries):
            self.until[row] = NEVER
            log.error("reconcile.given_up", row=str(row), tries=tries, then=self.bound.then)


PHASE_RUNS = Failing[UUID](BOUNDS[Work.EVALUATION])
DECISIONS = Failing[int](BOUNDS[Work.DEFAULT])


def evaluate_due() -> int:
    """Evaluate phase runs that hold a fact nobody judged, or whose time has come."""
    now = utcnow()
    with unit_of_work() as session:
        but = PHASE_RUNS.left_alone(now=now)
        due = [row.id for row in phase_runs.list_due_phase_runs(session, now=now, limit=BATCH, but=but)]
    return sum(PHASE_RUNS.drive(phase_run_id, partial(_evaluate, phase_run_id)) for phase_run_id in due)


def _evaluate(phase_run_id: UUID) -> None:
    with unit_of_work() as session:
        evaluation.evaluate(session, phase_run_id=phase_run_id, now=utcnow())


def send_unattended_runs() -> int:
    """Send agent runs nobody attends: never sent, lost by the broker, left by a worker, without a place."""
    with unit_of_work() as session:
        return scheduling.send_due(session, now=utcnow())


def send_unattended_merges() -> int:
    """Send merges that are under way and were not made."""
    now = utcnow()
    with unit_of_work() as session:
        merges = versions.claim_unattended_merges(session, now=now, limit=BATCH)
        for merge in merges:
            merge.send_after = now + MERGE_RESEND
            of = phase_runs.get_phase_run(session, phase_run_id=merge.phase_run_id).pipeline_id
            outbox.of(session).add(VersionKey(merge.phase_run_id, merge.role, merge.number, of))
    return len(merges)


def send_unattended_rebases() -> int:
    """Send merges of a present base that are under way and were not made."""
    now = utcnow()
    with unit_of_work() as session:
        found = rebases.claim_unattended_rebases(session, now=now, limit=BATCH)
        for row in found:
            row.send_after = now + MERGE_RESEND
            outbox.of(session).add(RebaseKey(row.pipeline_id, row.id))
    return len(found)


def prepare_pipelines() -> int:
    """Send the making of repositories that are not there yet."""
    now = utcnow()
    with unit_of_work() as session:
        rows = pipelines.claim_unprepared_pipelines(session, now=now, limit=BATCH)
        for row in rows:
            row.send_after = now + MAX_RESEND
            outbox.of(session).add(Preparation(row.id))
    return len(rows)


def publish_branches() -> int:
    """Have work branches follow their rows."""
    now = utcnow()
    with unit_of_work() as session:
        rows = pipelines.claim_unpublished_pipelines(
            session, now=now, limit=BATCH, most_tries=BOUNDS[Work.PUBLICATION].most
        )
        for row in rows:
            row.send_after = now + PUBLISH_RESEND
            outbox.of(session).add(Publication(row.id))
    return len(rows)


def default_decisions() -> int:
    """Give the questions nobody has answered in time their default; those of paused pipelines wait."""
    now = utcnow()
    with unit_of_work() as session:
        but = DECISIONS.left_alone(now=now)
        rows = decision_rows.list_overdue_decisions(session, now=now, limit=BATCH, but=but)
        ids = [row.id for row in rows]
    return sum(DECISIONS.drive(decision_id, partial(_default, decision_id)) for decision_id in ids)


def _default(decision_id: int) -> None:
    with unit_of_work() as session:
        decisions.default(session, decision_id=decision_id, now=utcnow())


def send_notices() -> int:
    """Have people told of the questions they have not heard of, where there is a webhook."""
    if settings().webhook is None:
        return 0
    with unit_of_work() as session:
        return notifications.send_due(session, now=utcnow(), limit=BATCH)


def delete_pipelines() -> int:
    """Send the going of pipelines that are to go and are still there."""
    with unit_of_work() as session:
        due = deletions.claim_due(session, now=utcnow(), limit=BATCH)
        outbox.of(session).add(*(Deletion(pipeline_id) for pipeline_id in due))
    return len(due)


def clear_runs() -> int:
    """Send the clearing away of clones whose runs are over. That is what comes next, and no repair."""
    with unit_of_work() as session:
        due = clones.claim_due(session, keep=settings().keep_clones, now=utcnow(), limit=BATCH)
        outbox.of(session).add(*(Clearing(run.id, run.node, run.pipeline_id) for run in due))
    return 0


@dataclass
class Tidying:
    """When something is next looked for that who died before may have left: on a disk, or running."""

    next_at: datetime | None = None

    def is_due(self, *, now: datetime) -> bool:
        """Whether it is time, which it is not again for a while."""
        if self.next_at is not None and now < self.next_at:
            return False
        self.next_at = now + TIDY_EVERY
        return True


TIDYING, STRANGERS = Tidying(), Tidying()


def tidy_disk() -> int:
    """Send the taking off the disk of what was removed, now and then."""
    if TIDYING.is_due(now=utcnow()):
        send_tidying()
    return 0


def end_strangers() -> int:
    """Send the ending of what runs on some machine and no row knows, now and then; there it is counted."""
    if STRANGERS.is_due(now=utcnow()):
        with unit_of_work() as session:
            nodes = [each.name for each in overviews.list_nodes(session)]
        for node in nodes:
            send_ending_of_strangers(node, within=TIDY_EVERY)
    return 0


if __name__ == "__main__":
    main()
