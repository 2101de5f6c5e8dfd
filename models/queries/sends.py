"""Sends of agents: many in one statement, and each of them alone in being refused.

The order of its locks is that of all: runs, their shares, streams last, each kind in the order of its ids.
Runs are locked FOR SHARE, and one that somebody else has locked is left out, so that no group waits for it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.shares import BYTES_A_MESSAGE, ROW_BYTES, RUNS, Share
from models.states import LIVE_PHASES, LIVE_RUNS
from models.tables import Event, Message
from models.tables.base import SCHEMA, words

PATIENCE = "100ms"
"""So long a group waits for the stream of one of its pipelines; then each is sent alone, and waits alone."""
OF_ONE = frozenset({"22", "23", "40", "55"})
"""Classes of errors that one send, or a lock it needs, brings upon its group: data, constraints, circles of
locks, a lock that is not to be had."""

SEND = f"""
WITH given AS MATERIALIZED (
    SELECT each.*, set_config('lock_timeout', '{PATIENCE}', true)
    FROM json_to_recordset(CAST(:sends AS json)) AS each (
        number integer, run_id uuid, is_common boolean, from_role text, to_role text, message_type text,
        subject text, body text, metadata jsonb, in_reply_to bigint, client_key text, created_at timestamptz,
        size bigint, event_type text, event_text text, details jsonb)
), place AS MATERIALIZED (
    SELECT given.*, agent_runs.pipeline_id, phase_run_id, phase_runs.phase, phase_runs.iteration,
           quota, stored_bytes
    FROM given JOIN {SCHEMA}.agent_runs ON agent_runs.id = given.run_id AND agent_runs.role = given.from_role
        JOIN {SCHEMA}.phase_runs ON phase_runs.id = agent_runs.phase_run_id
        JOIN {SCHEMA}.message_streams ON message_streams.pipeline_id = agent_runs.pipeline_id
    WHERE agent_runs.status IN ({words(*LIVE_RUNS)}) AND phase_runs.status IN ({words(*LIVE_PHASES)})
      AND (is_common OR EXISTS (
          SELECT FROM {SCHEMA}.roles
          WHERE roles.phase_run_id = phase_runs.id AND roles.role = given.to_role AND NOT is_dropped))
      AND (given.in_reply_to IS NULL OR EXISTS (
          SELECT FROM {SCHEMA}.messages WHERE messages.pipeline_id = agent_runs.pipeline_id
          AND messages.id = given.in_reply_to))
      AND (given.client_key IS NULL OR NOT EXISTS (
          SELECT FROM {SCHEMA}.messages WHERE messages.pipeline_id = agent_runs.pipeline_id
          AND messages.from_role = given.from_role AND messages.client_key = given.client_key))
    FOR SHARE OF agent_runs SKIP LOCKED
), fitting AS MATERIALIZED (
    SELECT * FROM (
        SELECT *, stored_bytes + sum(size) OVER (PARTITION BY pipeline_id ORDER BY number) AS filled
        FROM place
    ) AS each WHERE filled <= quota
), share AS (
    INSERT INTO {SCHEMA}.run_shares (agent_run_id, share, number, size, began_at)
    SELECT run_id, '{Share.MESSAGES}', 1, size, created_at FROM fitting ORDER BY run_id
    ON CONFLICT (agent_run_id, share) DO UPDATE
    SET number = run_shares.number + 1, size = run_shares.size + EXCLUDED.size
    WHERE run_shares.number < (
        SELECT quota / {BYTES_A_MESSAGE} FROM fitting WHERE run_id = run_shares.agent_run_id)
      AND run_shares.size + EXCLUDED.size <= (
        SELECT quota / {RUNS} FROM fitting WHERE run_id = run_shares.agent_run_id)
    RETURNING agent_run_id
), placed AS MATERIALIZED (
    SELECT fitting.*, row_number() OVER (PARTITION BY pipeline_id ORDER BY number DESC) - 1 AS back
    FROM fitting JOIN share ON share.agent_run_id = run_id
), stream AS (
    -- Each of these rows is there: so they are locked one after the other, in this order.
    INSERT INTO {SCHEMA}.message_streams (pipeline_id, last_message_id, last_event_id, stored_bytes)
    SELECT pipeline_id, count(*), count(*), sum(size) FROM placed
    GROUP BY pipeline_id ORDER BY pipeline_id COLLATE "C"
    ON CONFLICT (pipeline_id) DO UPDATE
    SET last_message_id = message_streams.last_message_id + EXCLUDED.last_message_id,
        last_event_id = message_streams.last_event_id + EXCLUDED.last_event_id,
        stored_bytes = message_streams.stored_bytes + EXCLUDED.stored_bytes
    RETURNING pipeline_id, last_message_id, last_event_id
), message AS (
    INSERT INTO {SCHEMA}.messages
        (pipeline_id, id, phase_run_id, phase, iteration, from_role, to_role, message_type,
         subject, body, metadata, in_reply_to, client_key, created_at)
    SELECT pipeline_id, last_message_id - back, phase_run_id, phase, iteration, from_role, to_role,
           message_type, subject, body, metadata, in_reply_to, client_key, created_at
    FROM placed JOIN stream USING (pipeline_id)
), event AS (
    INSERT INTO {SCHEMA}.events (pipeline_id, id, type, phase, iteration, role, text, details, created_at)
    SELECT pipeline_id, last_event_id - back, event_type, phase, iteration, from_role, event_text,
           details || jsonb_build_object('message_id', last_message_id - back), created_at
    FROM placed JOIN stream USING (pipeline_id)
)
SELECT number, last_message_id - back, pipeline_id, phase_run_id, phase, iteration
FROM placed JOIN stream USING (pipeline_id)
"""  # noqa: S608 - the states are ours
_SEND = text(SEND)


@dataclass(frozen=True)
class Sending:
    """A message of an agent run, and the event that tells of it; neither has its place yet."""

    run_id: UUID
    is_common: bool
    """Whether its recipient is there in every phase."""
    message: Message
    event: Event


def send(session: Session, *, sends: Sequence[Sending]) -> Sequence[bool]:
    """Number and insert messages of runs and the events that tell of them, in one statement; which are sent.

    Of each run at most one. One is left out if anything is in its way: its run or phase run is over or
    locked, the recipient is not there, the message replied to neither, the `client_key` was used before, or
    the run's share or the pipeline's quota would be used up by it and those before it. None is sent if one
    breaks a rule of the tables, or a stream is not to be had. What is sent has its id and its place.
    """
    given = [_given(number, each) for number, each in enumerate(sends)]
    try:
        rows = session.execute(_SEND, {"sends": json.dumps(given, ensure_ascii=False)}).all()
    except DBAPIError as error:
        if (getattr(error.orig, "sqlstate", None) or "")[:2] not in OF_ONE:
            raise
        return [False] * len(sends)
    for number, *place in rows:
        message = sends[number].message
        message.id, message.pipeline_id, message.phase_run_id, message.phase, message.iteration = place
    sent = {number for number, *_ in rows}
    return [number in sent for number in range(len(sends))]


def _given(number: int, sending: Sending) -> Mapping[str, object]:
    message, event = sending.message, sending.event
    return {
        "number": number,
        "run_id": str(sending.run_id),
        "is_common": sending.is_common,
        "from_role": message.from_role,
        "to_role": message.to_role,
        "message_type": str(message.message_type),
        "subject": message.subject,
        "body": message.body,
        "metadata": message.metadata_,
        "in_reply_to": message.in_reply_to,
        "client_key": message.client_key,
        "created_at": message.created_at.isoformat(),
        "size": message.size + ROW_BYTES,
        "event_type": event.type,
        "event_text": event.text,
        "details": event.details,
    }
