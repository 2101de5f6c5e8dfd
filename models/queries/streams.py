"""The last statement of a unit of work: messages and events get their numbers.

The stream row is the last lock taken, so ids are gapless and in commit order, and no transaction waits in
a circle. Rows handed to `defer` have no id until `number_pending` has run.
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

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

    A sender's keys are looked up under the stream's lock, so two at once with one key send one message.
    """
    if message.client_key is not None:
        _lock_stream(session, message.pipeline_id)
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


def number_pending(session: Session) -> None:
    """Number and insert the deferred rows, one stream at a time in the order of pipeline ids."""
    waiting: list[_Pending] = session.info.pop(PENDING, [])
    session.flush()
    by_pipeline: dict[str, list[_Pending]] = defaultdict(list)
    for pending in waiting:
        by_pipeline[pending.row.pipeline_id].append(pending)
    for pipeline_id in sorted(by_pipeline):
        _number(session, pipeline_id, by_pipeline[pipeline_id])
    session.flush()


def last_message_id(session: Session, *, pipeline_id: str) -> int:
    """The id of the newest message of the pipeline, 0 before there is one."""
    query = select(MessageStream.last_message_id).where(MessageStream.pipeline_id == pipeline_id)
    return session.scalars(query).one()


def _number(session: Session, pipeline_id: str, waiting: list[_Pending]) -> None:
    stream = _lock_stream(session, pipeline_id)
    for pending in waiting:
        row = pending.row
        if isinstance(row, Message):
            stream.last_message_id += 1
            row.id = stream.last_message_id
            continue
        stream.last_event_id += 1
        row.id = stream.last_event_id
        if pending.message is not None:
            row.details = {**row.details, "message_id": pending.message.id}
    session.add_all(pending.row for pending in waiting)


def _lock_stream(session: Session, pipeline_id: str) -> MessageStream:
    query = select(MessageStream).where(MessageStream.pipeline_id == pipeline_id)
    return session.scalars(
        query.with_for_update(key_share=True).execution_options(populate_existing=True)
    ).one()
