"""The last statement of a unit of work: messages and events get their numbers.

The stream row is the last lock taken, so ids are gapless and in commit order, and no transaction waits in
a circle. Rows handed to `defer` have no id until `number_pending` has run.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
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

    The key is locked until the unit of work ends, so two at once with one key send one message, and the
    stream, which everybody needs, is locked only when the message is numbered.
    """
    if message.client_key is not None:
        key = f"{message.pipeline_id} {message.from_role} {message.client_key}"
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
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


def tips(session: Session, *, pipeline_ids: Sequence[str]) -> Mapping[str, int]:
    """By pipeline, a number that grows with everything it tells or is told."""
    tip = MessageStream.last_message_id + MessageStream.last_event_id
    query = select(MessageStream.pipeline_id, tip).where(MessageStream.pipeline_id.in_(pipeline_ids))
    return dict(session.execute(query).all())


def recipients_pending(session: Session) -> frozenset[tuple[str, str]]:
    """The pipelines and roles that the deferred messages are for."""
    waiting: list[_Pending] = session.info.get(PENDING, [])
    messages = (pending.row for pending in waiting if isinstance(pending.row, Message))
    return frozenset((message.pipeline_id, message.to_role) for message in messages)


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
