"""The bus: send, poll, count."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import journal
from models.errors import Conflict, Forbidden, Unprocessable
from models.queries import messages, phase_runs, streams
from models.schemas.message import (
    FROM_AGENTS,
    TO_ALL,
    TO_HUMAN,
    TO_ORCHESTRATOR,
    WAKING,
    MessageType,
)
from models.schemas.message import Message as MessageRead
from models.tables import Message, PhaseRun, Pipeline

SYSTEM_TYPES = frozenset({MessageType.AGENT_FAILED, MessageType.CONVERGE, MessageType.FINALIZE})
PERSON = TO_HUMAN


@dataclass(frozen=True)
class Draft:
    """A message as its sender wrote it."""

    message_type: MessageType
    to_role: str = TO_ALL
    subject: str = ""
    body: str = ""
    metadata: dict[str, object] = field(default_factory=dict)
    in_reply_to: int | None = None
    client_key: str | None = None


@dataclass(frozen=True)
class Page:
    """What a poll found, and where the next one goes on."""

    messages: Sequence[MessageRead]
    next_since_id: int
    has_more: bool


def send(session: Session, *, pipeline: Pipeline, sender: str, draft: Draft, now: datetime) -> Message:
    """Put a message on the bus; its id is there once the unit of work has ended.

    The same `client_key` from the same sender gives the message that was sent before.
    """
    phase_run = phase_runs.find_last_phase_run(session, pipeline_id=pipeline.id)
    _refuse_type(sender, draft)
    _refuse_recipient(session, phase_run, draft)
    replied = draft.in_reply_to
    if replied is not None and not messages.has_message(session, pipeline_id=pipeline.id, message_id=replied):
        raise Unprocessable(f"there is no message {replied} to reply to")
    message = Message(
        pipeline_id=pipeline.id,
        phase_run_id=phase_run.id if phase_run else None,
        phase=phase_run.phase if phase_run else "",
        iteration=phase_run.iteration if phase_run else 0,
        from_role=sender,
        to_role=draft.to_role,
        message_type=draft.message_type,
        subject=draft.subject,
        body=draft.body,
        metadata_=draft.metadata,
        in_reply_to=draft.in_reply_to,
        client_key=draft.client_key,
        created_at=now,
    )
    standing = streams.defer_message(session, message)
    if standing is message:
        _record(session, pipeline, phase_run, message)
    return standing


def poll(
    session: Session,
    *,
    pipeline: Pipeline,
    role: str | None,
    phase_run_id: UUID | None,
    since: int | None,
    limit: int,
    types: Sequence[MessageType] = (),
    is_whole_pipeline: bool = False,
    include_own: bool = False,
    moves_cursor: bool = True,
) -> Page:
    """Read the oldest messages after *since*, or after the role's own cursor, which then moves on.

    Without *moves_cursor* somebody else looks: the role's cursor is neither used nor moved.
    """
    tip = streams.last_message_id(session, pipeline_id=pipeline.id)
    if since is not None and since > tip:
        raise Conflict(f"there is no message {since} yet; the newest is {tip}", {"tip": tip})
    reader = None
    if moves_cursor and role is not None and phase_run_id is not None:
        reader = phase_runs.lock_role(session, phase_run_id=phase_run_id, role=role)
    cursor = reader.cursor if reader else 0
    after = since if since is not None else cursor
    found = messages.list_messages(
        session,
        pipeline_id=pipeline.id,
        role=role,
        after=after,
        limit=limit + 1,
        phase_run_id=None if is_whole_pipeline else phase_run_id,
        types=types,
        include_own=include_own,
    )
    page, has_more = found[:limit], len(found) > limit
    next_since = page[-1].id if page else after
    if reader is not None and not types and after <= cursor < next_since:
        reader.cursor = next_since
    return Page([read(message) for message in page], next_since, has_more)


def is_waking(message: Message) -> bool:
    """Whether a message may make a role due, so that its phase run is to be evaluated."""
    is_to_role = message.to_role not in {TO_ALL, TO_ORCHESTRATOR, TO_HUMAN}
    return is_to_role and message.message_type in WAKING and message.phase_run_id is not None


def read(message: Message) -> MessageRead:
    """A message as it is read."""
    return MessageRead.model_validate(
        {
            "id": message.id,
            "pipeline_id": message.pipeline_id,
            "phase": message.phase,
            "iteration": message.iteration,
            "from_role": message.from_role,
            "to_role": message.to_role,
            "message_type": message.message_type,
            "subject": message.subject,
            "body": message.body,
            "metadata": message.metadata_,
            "in_reply_to": message.in_reply_to,
            "timestamp": message.created_at,
        }
    )


def _record(session: Session, pipeline: Pipeline, phase_run: PhaseRun | None, message: Message) -> None:
    journal.record(
        session,
        "message.sent",
        f"{message.from_role} to {message.to_role}: {message.subject or message.message_type}",
        now=message.created_at,
        pipeline=pipeline,
        phase_run=phase_run,
        role=message.from_role,
        details={
            "from_role": message.from_role,
            "to_role": message.to_role,
            "message_type": str(message.message_type),
            "subject": message.subject,
        },
    )


def _refuse_type(sender: str, draft: Draft) -> None:
    if draft.message_type in SYSTEM_TYPES:
        raise Forbidden(f"{draft.message_type} comes from the system only")
    if sender != PERSON and draft.message_type not in FROM_AGENTS:
        types = ", ".join(sorted(FROM_AGENTS))
        raise Forbidden(f"{draft.message_type} is for a person to send; an agent sends {types}")


def _refuse_recipient(session: Session, phase_run: PhaseRun | None, draft: Draft) -> None:
    roles = phase_runs.list_roles(session, phase_run_id=phase_run.id) if phase_run else ()
    names = [role.role for role in roles]
    if draft.to_role in {TO_ALL, TO_ORCHESTRATOR, TO_HUMAN}:
        return
    if draft.to_role not in names:
        roster = ", ".join([*names, TO_ALL, TO_ORCHESTRATOR, TO_HUMAN])
        raise Unprocessable(
            f"there is no {draft.to_role} to write to; write to one of: {roster}", {"roster": names}
        )
    if any(role.role == draft.to_role and role.is_dropped for role in roles):
        raise Conflict(f"the phase goes on without {draft.to_role}; nobody would read it", {"roster": names})
