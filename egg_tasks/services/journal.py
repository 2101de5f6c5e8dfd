"""How the system tells what happened: events for people and programs, messages for roles."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models.queries import streams
from models.schemas.message import MessageType
from models.tables import AgentRun, Event, Message, PhaseRun, Pipeline


def record(
    session: Session,
    event_type: str,
    text: str,
    *,
    now: datetime,
    pipeline: Pipeline,
    phase_run: PhaseRun | None = None,
    role: str | None = None,
    run_id: UUID | None = None,
    details: dict[str, object] | None = None,
) -> None:
    """Tell an event; it gets its number when the unit of work ends."""
    event = Event(
        pipeline_id=pipeline.id,
        type=event_type,
        phase=phase_run.phase if phase_run else None,
        iteration=phase_run.iteration if phase_run else None,
        role=role,
        agent_run_id=run_id,
        text=text,
        details=details or {},
        created_at=now,
    )
    streams.defer(session, event)


def announce(
    session: Session,
    message_type: MessageType,
    subject: str,
    *,
    now: datetime,
    phase_run: PhaseRun,
    body: str = "",
) -> None:
    """Say something to all roles of a phase run in the system's own name."""
    message = Message(
        pipeline_id=phase_run.pipeline_id,
        phase_run_id=phase_run.id,
        phase=phase_run.phase,
        iteration=phase_run.iteration,
        from_role="orchestrator",
        to_role="all",
        message_type=message_type,
        subject=subject[:200],
        body=body,
        metadata_={},
        created_at=now,
    )
    streams.defer(session, message)


def label(run: AgentRun) -> str:
    """How a run is called in a sentence."""
    return f"{run.role} (run {run.number})" if run.role else f"check (run {run.number})"
