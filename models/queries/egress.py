"""What agents reached by the gateway."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models.tables import AgentRun
from models.tables.base import SCHEMA
from models.tables.egress import Egress, Passage

MOST = 500
"""So many different wishes of a run have rows of their own."""
NOTE = f"""
INSERT INTO {SCHEMA}.egress (agent_run_id, host, port, passage, why, number, first_at, last_at)
SELECT :run_id, host, port, :passage, why, 1, :now, :now FROM (
    SELECT CASE WHEN is_room THEN :host ELSE '' END AS host, CASE WHEN is_room THEN :port ELSE 0 END AS port,
        CASE WHEN is_room THEN :why ELSE '' END AS why
    FROM (SELECT count(*) < :most AS is_room FROM {SCHEMA}.egress WHERE agent_run_id = :run_id) AS counted
) AS wish
ON CONFLICT (agent_run_id, host, port, passage, why) DO UPDATE
SET number = egress.number + 1, last_at = EXCLUDED.last_at
"""  # noqa: S608 - the schema is ours
_NOTE = text(NOTE)


def note(
    session: Session, *, run_id: UUID, host: str, port: int, passage: Passage, why: str, now: datetime
) -> None:
    """Count one wish of a run, in one statement."""
    given = {
        "run_id": run_id,
        "host": host,
        "port": port,
        "passage": str(passage),
        "why": why,
        "most": MOST,
        "now": now,
    }
    session.execute(_NOTE, given)


class Wished(NamedTuple):
    """All wishes of a role that are alike."""

    host: str
    port: int
    passage: Passage
    why: str
    role: str
    number: int
    last_at: datetime


def list_egress(session: Session, *, pipeline_id: str) -> Sequence[Wished]:
    """What was asked for in a pipeline, the most frequent first."""
    number, last_at = func.sum(Egress.number), func.max(Egress.last_at)
    what = (Egress.host, Egress.port, Egress.passage, Egress.why, func.coalesce(AgentRun.role, "check"))
    query = select(*what, number, last_at).join(AgentRun, AgentRun.id == Egress.agent_run_id)
    query = query.where(AgentRun.pipeline_id == pipeline_id).group_by(*what).order_by(number.desc(), *what)
    return [Wished(*row) for row in session.execute(query)]
