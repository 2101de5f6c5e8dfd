"""Places: which agent runs are sent to workers, and in which order, when nodes have room for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Runs, RunToSend
from models.queries import agent_runs, halts, phase_runs, places
from models.tables import AgentRun

BATCH = 100
FIRST_RESEND = timedelta(seconds=5)
MAX_RESEND = timedelta(seconds=60)


def send_due(session: Session, *, now: datetime) -> int:
    """Send the runs nobody attends, those a machine has first, then those that wait for a place; how many."""
    left = agent_runs.claim_unattended_agent_runs(session, now=now, limit=BATCH)
    due = [_sent(session, run, now) for run in left] + _waiting(session, now)
    outbox.of(session).add(*due)
    return len(due)


def send_waiting(session: Session, *, now: datetime) -> None:
    """Send the runs that wait for a place and get one now, before anything that is sent already."""
    outbox.of(session).add_first(*_waiting(session, now))


def _waiting(session: Session, now: datetime) -> list[Runs]:
    """The runs that get a place: none while a halt stands, else the fair share."""
    if not places.has_waiting_agent_runs(session, now=now) or halts.find_standing_halt(session):
        return []
    free = places.count_free_places(session)
    limit = BATCH if free is None else min(BATCH, free)
    chosen: Sequence[AgentRun] = ()
    if limit:
        chosen = places.claim_waiting_agent_runs(session, now=now, limit=limit)
    return [_sent(session, run, now) for run in chosen]


def _sent(session: Session, run: AgentRun, now: datetime) -> Runs:
    run.sends += 1
    run.send_after = now + min(MAX_RESEND, FIRST_RESEND * 2 ** min(run.sends, 10))
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    to_send = RunToSend(run.id, run.pipeline_id, phase_run.phase, run.role or "check", run.node)
    return Runs(phase_run.id, (to_send,))
