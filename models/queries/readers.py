"""Readers: the roles' cursors, read and moved on without waiting for anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Text, TextClause, Uuid, bindparam, select, text
from sqlalchemy.orm import Session

from models.states import LIVE_RUNS
from models.tables import AgentRun
from models.tables.base import SCHEMA, words


@dataclass(frozen=True)
class Reader:
    """An agent run's role and how far it has read."""

    run_id: UUID
    pipeline_id: str
    phase_run_id: UUID
    role: str
    is_live: bool
    cursor: int
    poll_key: str | None
    poll_began: int
    tip: int
    """The newest message of the pipeline."""


@dataclass(frozen=True)
class CursorMove:
    """A cursor's move from where it was read to be; without *poll_began* the last poll stays the last."""

    run_id: UUID
    cursor: int
    to: int
    poll_key: str | None = None
    poll_began: int | None = None


FIND = f"""
SELECT agent_runs.id, agent_runs.pipeline_id, agent_runs.phase_run_id, agent_runs.role,
       agent_runs.status IN ({words(*LIVE_RUNS)}), cursor, poll_key, poll_began, last_message_id
FROM {SCHEMA}.agent_runs JOIN {SCHEMA}.roles USING (phase_run_id, role)
    JOIN {SCHEMA}.message_streams USING (pipeline_id)
WHERE agent_runs.id = :run_id
"""  # noqa: S608 - the states are ours
_FIND = text(FIND).bindparams(bindparam("run_id", type_=Uuid))


def find_reader(session: Session, *, run_id: UUID) -> Reader | None:
    """The reader a run is, in one statement; None for a check, which reads nothing."""
    row = session.execute(_FIND, {"run_id": run_id}).one_or_none()
    return None if row is None else Reader(*row)


def list_live(session: Session, *, run_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of these runs that are not over; nothing is locked."""
    query = select(AgentRun.id).where(AgentRun.id.in_(run_ids), AgentRun.status.in_(LIVE_RUNS))
    return frozenset(session.scalars(query))


ADVANCE = """
WITH held AS MATERIALIZED (
    SELECT agent_runs.id, roles.phase_run_id, roles.role
    FROM {schema}.agent_runs JOIN {schema}.roles USING (phase_run_id, role)
    WHERE agent_runs.id = ANY(:run_ids) AND agent_runs.status IN ({live})
    FOR SHARE OF agent_runs {waiting} FOR NO KEY UPDATE OF roles {waiting}
)
UPDATE {schema}.roles
SET cursor = step.to_id,
    poll_key = CASE WHEN step.poll_began IS NULL THEN roles.poll_key ELSE step.poll_key END,
    poll_began = coalesce(step.poll_began, roles.poll_began)
FROM held, unnest(:run_ids, :cursors, :to_ids, :poll_keys, :poll_begans)
    AS step (run_id, cursor, to_id, poll_key, poll_began)
WHERE held.id = step.run_id AND roles.phase_run_id = held.phase_run_id AND roles.role = held.role
  AND roles.cursor = step.cursor
RETURNING step.run_id
"""
_PARAMETERS = (
    bindparam("run_ids", type_=ARRAY(Uuid)),
    bindparam("cursors", type_=ARRAY(BigInteger)),
    bindparam("to_ids", type_=ARRAY(BigInteger)),
    bindparam("poll_keys", type_=ARRAY(Text)),
    bindparam("poll_begans", type_=ARRAY(BigInteger)),
)


@cache
def _advance(skip_locked: bool) -> TextClause:
    waiting = "SKIP LOCKED" if skip_locked else ""
    return text(ADVANCE.format(schema=SCHEMA, live=words(*LIVE_RUNS), waiting=waiting)).bindparams(
        *_PARAMETERS
    )


def advance_cursors(session: Session, *, steps: Sequence[CursorMove], skip_locked: bool) -> frozenset[UUID]:
    """Move cursors that are where their steps begin, of runs that live; the runs whose cursor was moved.

    A run is locked FOR SHARE, so that what it is given is given before its end. Who moves several at once
    is to skip what others hold: it would else wait for one lock while it keeps another.
    """
    given = {
        "run_ids": [step.run_id for step in steps],
        "cursors": [step.cursor for step in steps],
        "to_ids": [step.to for step in steps],
        "poll_keys": [step.poll_key for step in steps],
        "poll_begans": [step.poll_began for step in steps],
    }
    return frozenset(session.scalars(_advance(skip_locked), given))
