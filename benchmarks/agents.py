"""Agents without processes: a pipeline's rows as they are while its agents run, and a token for each.

Everything is made by the services that make it in earnest (create, start, prepared, claim, started), in one
transaction, so that the stack's own workers never see a run that nobody attends. The lease lies a day ahead
and belongs to a node of no worker; the repository is said to be prepared and there is none.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.outbox import Runs
from egg_tasks.services.agents import agent_runs
from egg_tasks.services.bus import shares
from egg_tasks.services.people import pipelines
from models.queries import agent_runs as run_rows
from models.queries import pipelines as pipeline_rows
from models.schemas.definition import validate
from models.shares import MOST_QUOTA

NODE = "nobody"
AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class Seat:
    """A role of a pipeline whose agent lives, and what it speaks with."""

    pipeline_id: str
    role: str
    token: str


def seat(pipeline_id: str, roles: Sequence[str]) -> tuple[Seat, ...]:
    """Make a pipeline of these roles, all of them running; in the order of *roles*."""
    now = utcnow()
    with unit_of_work() as session:
        pipelines.create(session, definition=validate(_document(pipeline_id, roles)), now=now)
        pipelines.start(session, pipeline_id=pipeline_id, now=now)
        pipelines.prepared(session, pipeline_id=pipeline_id, base_commit="0" * 40, now=now)
        row = pipeline_rows.get_pipeline(session, pipeline_id=pipeline_id)
        row.published_commit = row.work_commit
        shares.grant(session, pipeline_id=pipeline_id, quota=MOST_QUOTA, now=now)
        parcels = outbox.of(session).parcels
        runs = {run.role: run.run_id for sent in parcels if isinstance(sent, Runs) for run in sent.runs}
        # No worker is to see them.
        parcels.clear()
        return tuple(Seat(pipeline_id, role, _live(session, runs[role])) for role in roles)


def _live(session: Session, run_id: UUID) -> str:
    token = secrets.token_urlsafe(32)
    capacity = 100_000
    later = utcnow() + AHEAD
    agent_runs.claim(session, run_id=run_id, owner=NODE, node=NODE, capacity=capacity, now=later)
    run_rows.add_token(session, run_id=run_id, token_hash=sha256(token.encode()).digest())
    agent_runs.started(session, run_id=run_id, now=utcnow())
    return token


def _document(pipeline_id: str, roles: Sequence[str]) -> dict[str, object]:
    return {
        "version": 1,
        "name": pipeline_id,
        "repo": "/nowhere",
        "prompt": "Talk.",
        "config": {"max_concurrent_agents": 1000},
        "agents": {"talker": {"backend": "command", "command": ["true"]}},
        "phases": [
            {
                "name": "talk",
                "mode": "concurrent",
                "roles": [{"role": role, "agent": "talker"} for role in roles],
            }
        ],
    }
