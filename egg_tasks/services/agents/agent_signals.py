"""Activity: that an agent still works, how far it is, and what went wrong. None of it is a verdict."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import credentials
from egg_tasks.services.bus import events, shares
from egg_tasks.services.engine import epochs
from models.consensus import endings
from models.consensus.treatments import TREATMENTS, believed
from models.events import EventType
from models.foreign import flat
from models.queries import agent_runs
from models.shares import Share
from models.states import Failure
from models.tables import AgentRun

MAX_SENTENCE = 1000
"""Characters of an error, or of progress, that stand beside its run; all of it is in the event."""


def heartbeat(session: Session, *, run_id: UUID, now: datetime) -> AgentRun:
    """Note that a run's agent is active."""
    # Locked for the update at once: two that shared the row first could not both have it.
    agent_runs.lock_agent_run(session, run_id=run_id)
    run = credentials.hold(session, run_id=run_id)
    run.last_active_at = max(run.last_active_at or now, now)
    return run


def progress(session: Session, *, run_id: UUID, text: str, now: datetime, percent: int | None = None) -> None:
    """Put on record how far a run is: an event, and the run's own last word on it."""
    run = heartbeat(session, run_id=run_id, now=now)
    shares.spend(session, run_id=run_id, share=Share.PROGRESS, size=len(text.encode()), now=now)
    run.progress, run.progress_percent, run.progressed_at = flat(text)[:MAX_SENTENCE], percent, now
    said = ": ".join(filter(None, ("" if percent is None else f"{percent}%", text)))
    text = said or f"{events.label(run)} is at work"
    epochs.of_run(session, run, now=now).tell(EventType.AGENT_PROGRESS, text, run=run)


def error(
    session: Session,
    *,
    run_id: UUID,
    text: str,
    now: datetime,
    kind: Failure | None = None,
    retry_at: datetime | None = None,
) -> None:
    """Put an error on record: an event, and the run's own sentence; the other roles are not told.

    Its *kind* is what the run has failed by if it ends badly; the last one that is given counts.
    """
    run = heartbeat(session, run_id=run_id, now=now)
    shares.spend(session, run_id=run_id, share=Share.ERRORS, size=len(text.encode()), now=now)
    if kind is not None:
        run.reported_failure = kind
        run.retry_at = believed(retry_at, now=now) if retry_at else None
    said = text or (TREATMENTS[kind].said if kind else "an error without words")
    if run.stopped_for not in endings.EXPLAINED:
        run.error = flat(said)[:MAX_SENTENCE]
    epochs.of_run(session, run, now=now).tell(EventType.AGENT_ERROR, said, run=run)
