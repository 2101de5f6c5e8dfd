"""Writers of the proof in the service layer: many messages a transaction, and some transactions aborted."""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from benchmarks.agents import Seat
from benchmarks.writers import Writer, Written
from egg_tasks import database
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.outbox import Parcel, WakeUp
from egg_tasks.services.bus import messages
from egg_tasks.services.bus.messages import Draft
from egg_tasks.tasks.dispatch import TaskSender
from models.errors import Unavailable
from models.queries import phase_runs, pipelines, streams
from models.schemas.message import MessageType
from models.tables import Message

ABORTED = "aborted"
"""The subject of what must never be seen."""
LONGEST_BATCH = 40
PAUSE_SECONDS = 0.2


def write_in_services(writers: Sequence[Writer]) -> list[Written]:
    """Write as the orchestrator does: up to 40 messages in a transaction, one transaction in ten aborted.

    Every other hint is lost.
    """
    database.use(Forgetful())
    try:
        with ThreadPoolExecutor(len(writers)) as pool:
            return list(pool.map(_in_services, writers))
    finally:
        database.use(TaskSender())


class Forgetful(TaskSender):
    """The sender of every process of ours, but that it loses every other hint."""

    def __init__(self) -> None:
        self._numbers = count()

    def send(self, parcel: Parcel) -> None:
        """Send one parcel, or lose it."""
        if not isinstance(parcel, WakeUp) or next(self._numbers) % 2:
            super().send(parcel)


def _in_services(writer: Writer) -> Written:
    chance = random.Random(writer.seat.role)  # noqa: S311 - the same each time
    drafts, written = writer.drafts(), Written(writer.seat)
    while drafts:
        if chance.random() < 1 / 10:
            _abort(writer, chance)
            written.aborts += 1
        batch = drafts[: chance.randint(1, LONGEST_BATCH)]
        while (last := _write(writer.seat, batch)) is None:
            written.retries["Unavailable"] += 1
            time.sleep(PAUSE_SECONDS)
        written.ids |= {draft.subject: last - back for back, draft in enumerate(reversed(batch))}
        del drafts[: len(batch)]
    return written


def _write(seat: Seat, batch: Sequence[Draft]) -> int | None:
    """Write a batch in one transaction; the last id, or None when the database was away.

    The last message alone has a `client_key`. It tells a second try whether the first was committed, and
    with it the whole batch, whose ids follow each other: so says the rule that is proved here.
    """
    try:
        with unit_of_work() as session:
            standing = _find(session, seat, batch[-1])
            if standing is not None:
                return standing
            _defer(session, seat, batch[:-1])
            last = _send(session, seat, batch[-1])
    except Unavailable:
        return None
    return last.id


class _OnPurpose(Exception):
    """Ends a unit of work that must leave nothing behind."""


def _abort(writer: Writer, chance: random.Random) -> None:
    """Begin a transaction that is rolled back before or after its numbers, or cut off by the server."""
    way = chance.choice(("before", "after", "cut"))
    draft = Draft(MessageType.PROGRESS, subject=ABORTED)
    try:
        with unit_of_work() as session:
            _defer(session, writer.seat, [draft] * chance.randint(1, LONGEST_BATCH))
            _send(session, writer.seat, draft)
            if way != "before":
                streams.number_pending(session)
            if way == "cut":
                session.execute(select(func.pg_terminate_backend(func.pg_backend_pid())))
            raise _OnPurpose  # noqa: TRY301 - this is how a unit of work is rolled back
    except (_OnPurpose, Unavailable, DBAPIError):
        return


def _find(session: Session, seat: Seat, draft: Draft) -> int | None:
    query = select(Message.id).where(Message.pipeline_id == seat.pipeline_id, Message.from_role == seat.role)
    return session.scalars(query.where(Message.client_key == draft.client_key)).one_or_none()


def _send(session: Session, seat: Seat, draft: Draft) -> Message:
    pipeline = pipelines.get_pipeline(session, pipeline_id=seat.pipeline_id)
    return messages.send(session, pipeline=pipeline, sender=seat.role, draft=draft, now=utcnow())


def _defer(session: Session, seat: Seat, drafts: Sequence[Draft]) -> None:
    """Hand over messages as the system's own announcements are."""
    phase_run = phase_runs.find_last_phase_run(session, pipeline_id=seat.pipeline_id)
    assert phase_run is not None, "its agents live"  # noqa: S101
    for draft in drafts:
        message = Message(
            pipeline_id=seat.pipeline_id,
            phase_run_id=phase_run.id,
            phase=phase_run.phase,
            iteration=phase_run.iteration,
            from_role=seat.role,
            to_role=draft.to_role,
            message_type=draft.message_type,
            subject=draft.subject,
            body=draft.body,
            metadata_={},
            created_at=utcnow(),
        )
        streams.defer(session, message)
