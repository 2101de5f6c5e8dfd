"""Places: which agent runs are sent to workers, and in which order, when nodes have room for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.effects import RunToSend
from models.queries import agent_runs, halts, phase_runs, places
from models.tables import AgentRun

BATCH = 100
FIRST_RESEND = timedelta(seconds=5)
MAX_RESEND = timedelta(seconds=60)

Sent = tuple[UUID, tuple[RunToSend, ...]]


def due(session: Session, *, now: datetime) -> list[Sent]:
    """The runs nobody attends: those a machine has always, then those that wait for a place."""
    left = agent_runs.claim_unattended_agent_runs(session, now=now, limit=BATCH)
    return [_sent(session, run, now) for run in left] + waiting(session, now=now)


def waiting(session: Session, *, now: datetime) -> list[Sent]:
    """The runs that wait for a place and get one now: none while a halt stands, else the fair share."""
    if not places.has_waiting_agent_runs(session, now=now) or halts.find_standing_halt(session):
        return []
    free = places.count_free_places(session)
    limit = BATCH if free is None else min(BATCH, free)
    chosen: Sequence[AgentRun] = ()
    if limit:
        chosen = places.claim_waiting_agent_runs(session, now=now, limit=limit)
    return [_sent(session, run, now) for run in chosen]


def _sent(session: Session, run: AgentRun, now: datetime) -> Sent:
    run.sends += 1
    run.send_after = now + min(MAX_RESEND, FIRST_RESEND * 2 ** min(run.sends, 10))
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    return phase_run.id, (RunToSend(run.id, run.pipeline_id, phase_run.phase, run.role or "check", run.node),)
