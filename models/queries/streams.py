"""The last statement of a unit of work: messages and events get their numbers.

The stream row is the last lock taken, so ids are gapless and in commit order, and no transaction waits in
a circle. Rows handed to `defer` have no id until `number_pending` has run.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.errors import KeyTaken
from models.shares import ROW_BYTES
from models.tables import Event, Message, MessageStream

PENDING = "pending_stream_rows"


@dataclass(frozen=True)
class _Pending:
    row: Message | Event
    message: Message | None
    """The message an event tells of."""


def defer(session: Session, row: Message | Event, *, tells_of: Message | None = None) -> None:
    """Have *row* numbered and inserted at the end of the unit of work.

    An event that tells of a message which was deferred before it gets that message's id as `message_id`.
    """
    session.info.setdefault(PENDING, []).append(_Pending(row, tells_of))


def defer_message(session: Session, message: Message) -> Message:
    """Defer a message; with a `client_key` its sender used before, give the message that stands instead.

    Of two at once with one key the second is refused by the index when it is numbered: `KeyTaken`.
    """
    if message.client_key is not None:
        query = select(Message).where(
            Message.pipeline_id == message.pipeline_id,
            Message.from_role == message.from_role,
            Message.client_key == message.client_key,
        )
        standing = session.scalars(query).one_or_none()
        if standing is not None:
            return standing
    defer(session, message)
    return message


def number_pending(session: Session) -> Sequence[Message | Event]:
    """Number and insert the deferred rows, one stream at a time in the order of pipeline ids; those rows."""
    waiting: list[_Pending] = session.info.pop(PENDING, [])
    session.flush()
    by_pipeline: dict[str, list[_Pending]] = defaultdict(list)
    for pending in waiting:
        by_pipeline[pending.row.pipeline_id].append(pending)
    for pipeline_id in sorted(by_pipeline):
        _number(session, pipeline_id, by_pipeline[pipeline_id])
    with _key_is_told():
        session.flush()
    return [pending.row for pending in waiting]


def last_message_id(session: Session, *, pipeline_id: str) -> int:
    """The id of the newest message of the pipeline, 0 before there is one."""
    query = select(MessageStream.last_message_id).where(MessageStream.pipeline_id == pipeline_id)
    return session.scalars(query).one()


def tips(session: Session, *, pipeline_ids: Sequence[str]) -> Mapping[str, int]:
    """By pipeline, a number that grows with everything it tells or is told."""
    tip = MessageStream.last_message_id + MessageStream.last_event_id
    query = select(MessageStream.pipeline_id, tip).where(MessageStream.pipeline_id.in_(pipeline_ids))
    return dict(session.execute(query).all())


def _number(session: Session, pipeline_id: str, waiting: list[_Pending]) -> None:
    messages = [pending.row for pending in waiting if isinstance(pending.row, Message)]
    stream = (
        update(MessageStream)
        .where(MessageStream.pipeline_id == pipeline_id)
        .values(
            last_message_id=MessageStream.last_message_id + len(messages),
            last_event_id=MessageStream.last_event_id + len(waiting) - len(messages),
            stored_bytes=MessageStream.stored_bytes + sum(each.size + ROW_BYTES for each in messages),
        )
        .returning(MessageStream.last_message_id, MessageStream.last_event_id)
        .execution_options(synchronize_session=False)
    )
    last_message_id, last_event_id = session.execute(stream).one()
    for number, message in enumerate(reversed(messages)):
        message.id = last_message_id - number
    events = [pending for pending in waiting if isinstance(pending.row, Event)]
    for number, pending in enumerate(reversed(events)):
        pending.row.id = last_event_id - number
        if pending.message is not None and isinstance(pending.row, Event):
            pending.row.details = {**pending.row.details, "message_id": pending.message.id}
    session.add_all(pending.row for pending in waiting)


@contextmanager
def _key_is_told() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "uq_messages_client_key" in str(error.orig):
            raise KeyTaken("another message with this client_key was sent at the same moment") from error
        raise
