"""How the system tells what happened: events for people and programs, messages for roles."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models.events import EventType
from models.queries import streams
from models.schemas.message import TO_ALL, TO_ORCHESTRATOR, MessageType
from models.tables import AgentRun, Event, Message, PhaseRun, Pipeline

MAX_SUBJECT = 200


def record(
    session: Session,
    event_type: EventType,
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
        type=str(event_type),
        phase=phase_run.phase if phase_run else None,
        iteration=phase_run.iteration if phase_run else None,
        role=role,
        agent_run_id=run_id,
        text=text,
        details=details or {},
        created_at=now,
    )
    streams.defer(session, event)


def post(session: Session, message: Message) -> Message:
    """Put a message on the bus and tell the event of it; both get their numbers when the unit of work ends.

    With a `client_key` that its sender used before, the message that stands is given and nothing is told.
    """
    standing = streams.defer_message(session, message)
    if standing is not message:
        return standing
    event = tells_of(message)
    event.phase, event.iteration = message.phase or None, message.iteration or None
    streams.defer(session, event, tells_of=message)
    return message


def tells_of(message: Message) -> Event:
    """The event that a message was sent, but for its place and its number."""
    return Event(
        pipeline_id=message.pipeline_id,
        type=str(EventType.MESSAGE_SENT),
        role=message.from_role,
        text=f"{message.from_role} to {message.to_role}: {message.subject or message.message_type}",
        details={
            "from_role": message.from_role,
            "to_role": message.to_role,
            "message_type": str(message.message_type),
            "subject": message.subject,
        },
        created_at=message.created_at,
    )


def announce(
    session: Session,
    message_type: MessageType,
    subject: str,
    *,
    now: datetime,
    phase_run: PhaseRun,
    to_role: str = TO_ALL,
    body: str = "",
    metadata: dict[str, object] | None = None,
    in_reply_to: int | None = None,
) -> None:
    """Say something to a role of a phase run, or to all of them, in the system's own name."""
    message = Message(
        pipeline_id=phase_run.pipeline_id,
        phase_run_id=phase_run.id,
        phase=phase_run.phase,
        iteration=phase_run.iteration,
        from_role=TO_ORCHESTRATOR,
        to_role=to_role,
        message_type=message_type,
        subject=subject[:MAX_SUBJECT],
        body=body,
        metadata_=metadata or {},
        in_reply_to=in_reply_to,
        created_at=now,
    )
    post(session, message)


def label(run: AgentRun) -> str:
    """How a run is called in a sentence."""
    return f"{run.role} (run {run.number})" if run.role else f"check (run {run.number})"
