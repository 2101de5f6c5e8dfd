"""The last statement of a unit of work: messages and events get their numbers.

The stream row is the last lock taken, so ids are gapless and in commit order, and no transaction waits in
a circle. Rows handed to `defer` have no id until `number_pending` has run.
"""

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables import Event, Message, MessageStream

PENDING = "pending_stream_rows"


def defer(session: Session, row: Message | Event) -> None:
    """Have *row* numbered and inserted at the end of the unit of work."""
    session.info.setdefault(PENDING, []).append(row)


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
    rows: list[Message | Event] = session.info.pop(PENDING, [])
    session.flush()
    by_pipeline: dict[str, list[Message | Event]] = defaultdict(list)
    for row in rows:
        by_pipeline[row.pipeline_id].append(row)
    for pipeline_id in sorted(by_pipeline):
        _number(session, pipeline_id, by_pipeline[pipeline_id])
    session.flush()


def last_message_id(session: Session, *, pipeline_id: str) -> int:
    """The id of the newest message of the pipeline, 0 before there is one."""
    query = select(MessageStream.last_message_id).where(MessageStream.pipeline_id == pipeline_id)
    return session.scalars(query).one()


def _number(session: Session, pipeline_id: str, rows: list[Message | Event]) -> None:
    stream = _lock_stream(session, pipeline_id)
    for row in rows:
        if isinstance(row, Message):
            stream.last_message_id += 1
            row.id = stream.last_message_id
        else:
            stream.last_event_id += 1
            row.id = stream.last_event_id
    session.add_all(rows)


def _lock_stream(session: Session, pipeline_id: str) -> MessageStream:
    query = select(MessageStream).where(MessageStream.pipeline_id == pipeline_id)
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()
