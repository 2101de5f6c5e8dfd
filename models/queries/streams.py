"""The last statement of a unit of work: messages and events get their numbers.

The stream row is the last lock taken, so ids are gapless and in commit order, and no transaction waits in
a circle. Rows handed to `defer` have no id until `number_pending` has run.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.errors import KeyTaken
from models.shares import BYTES_A_MESSAGE, ROW_BYTES, RUNS, Share
from models.states import LIVE_PHASES, LIVE_RUNS
from models.tables import Event, Message, MessageStream
from models.tables.base import SCHEMA, words

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


SEND = f"""
WITH place AS MATERIALIZED (
    SELECT agent_runs.id AS run_id, agent_runs.pipeline_id, phase_runs.id AS phase_run_id,
           phase_runs.phase, phase_runs.iteration, quota
    FROM {SCHEMA}.agent_runs JOIN {SCHEMA}.phase_runs ON phase_runs.id = agent_runs.phase_run_id
        JOIN {SCHEMA}.message_streams ON message_streams.pipeline_id = agent_runs.pipeline_id
    WHERE agent_runs.id = :run_id AND agent_runs.role = :from_role
      AND agent_runs.status IN ({words(*LIVE_RUNS)}) AND phase_runs.status IN ({words(*LIVE_PHASES)})
      AND (:is_common OR EXISTS (
          SELECT FROM {SCHEMA}.roles
          WHERE roles.phase_run_id = phase_runs.id AND role = :to_role AND NOT is_dropped))
      AND (CAST(:in_reply_to AS bigint) IS NULL OR EXISTS (
          SELECT FROM {SCHEMA}.messages WHERE messages.pipeline_id = agent_runs.pipeline_id
          AND messages.id = :in_reply_to))
      AND (CAST(:client_key AS text) IS NULL OR NOT EXISTS (
          SELECT FROM {SCHEMA}.messages WHERE messages.pipeline_id = agent_runs.pipeline_id
          AND from_role = :from_role AND client_key = :client_key))
      AND stored_bytes + :size <= quota
    FOR SHARE OF agent_runs
), share AS (
    INSERT INTO {SCHEMA}.run_shares (agent_run_id, share, number, size, began_at)
    SELECT run_id, '{Share.MESSAGES}', 1, :size, :created_at FROM place
    ON CONFLICT (agent_run_id, share) DO UPDATE
    SET number = run_shares.number + 1, size = run_shares.size + EXCLUDED.size
    WHERE run_shares.number < (SELECT quota / {BYTES_A_MESSAGE} FROM place)
      AND run_shares.size + EXCLUDED.size <= (SELECT quota / {RUNS} FROM place)
    RETURNING agent_run_id
), stream AS (
    UPDATE {SCHEMA}.message_streams
    SET last_message_id = last_message_id + 1, last_event_id = last_event_id + 1,
        stored_bytes = stored_bytes + :size
    FROM place JOIN share ON share.agent_run_id = place.run_id
    WHERE message_streams.pipeline_id = place.pipeline_id
    RETURNING last_message_id, last_event_id
), message AS (
    INSERT INTO {SCHEMA}.messages
        (pipeline_id, id, phase_run_id, phase, iteration, from_role, to_role, message_type,
         subject, body, metadata, in_reply_to, client_key, created_at)
    SELECT pipeline_id, last_message_id, phase_run_id, phase, iteration, :from_role, :to_role, :message_type,
           :subject, :body, :metadata, :in_reply_to, :client_key, :created_at
    FROM place, stream
), event AS (
    INSERT INTO {SCHEMA}.events (pipeline_id, id, type, phase, iteration, role, text, details, created_at)
    SELECT pipeline_id, last_event_id, :event_type, phase, iteration, :from_role, :event_text,
           :details || jsonb_build_object('message_id', last_message_id), :created_at
    FROM place, stream
)
SELECT last_message_id, pipeline_id, phase_run_id, phase, iteration FROM place, stream
"""  # noqa: S608 - the states are ours
_SEND = text(SEND).bindparams(bindparam("metadata", type_=JSONB), bindparam("details", type_=JSONB))


def send(session: Session, *, run_id: UUID, is_common: bool, message: Message, event: Event) -> bool:
    """Number and insert a message of a run and the event that tells of it, all in one statement.

    Not if anything is in the way: the run or its phase run is over, the recipient is not there, the message
    replied to neither, the `client_key` was used before, or the run's share or the pipeline's quota is used
    up. The run is locked FOR SHARE, the stream last. The message gets its id and its place.
    """
    given = {
        "run_id": run_id,
        "is_common": is_common,
        "from_role": message.from_role,
        "to_role": message.to_role,
        "message_type": str(message.message_type),
        "subject": message.subject,
        "body": message.body,
        "metadata": message.metadata_,
        "in_reply_to": message.in_reply_to,
        "client_key": message.client_key,
        "created_at": message.created_at,
        "size": message.size + ROW_BYTES,
        "event_type": event.type,
        "event_text": event.text,
        "details": event.details,
    }
    with _key_is_told():
        row = session.execute(_SEND, given).one_or_none()
    if row is None:
        return False
    message.id, message.pipeline_id, message.phase_run_id, message.phase, message.iteration = row
    return True


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
