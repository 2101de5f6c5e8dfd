"""The bus: what is sent, by whom and to whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Evaluation, News
from egg_tasks.services import credentials
from egg_tasks.services.bus import events, shares
from models.errors import Conflict, Forbidden, Unprocessable
from models.queries import messages, phase_runs, pipelines, sends
from models.queries.sends import Sending
from models.schemas.message import (
    FROM_AGENTS,
    TO_ALL,
    TO_HUMAN,
    TO_ORCHESTRATOR,
    WAKING,
    MessageRead,
    MessageType,
)
from models.states import LIVE_PHASES
from models.tables import Message, PhaseRun, Pipeline

SYSTEM_TYPES = frozenset({MessageType.AGENT_FAILED, MessageType.CONVERGE, MessageType.FINALIZE})
PERSON = TO_HUMAN
COMMON = frozenset({TO_ALL, TO_ORCHESTRATOR, TO_HUMAN})
"""Recipients that are there in every phase."""


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
class Outgoing:
    """A message that an agent is about to send; `Forbidden` when its type is not for agents."""

    run_id: UUID
    role: str
    draft: Draft

    def __post_init__(self) -> None:
        _refuse_type(self.role, self.draft)


def send(session: Session, *, pipeline: Pipeline, sender: str, draft: Draft, now: datetime) -> Message:
    """Put a message on the bus; its id is there once the unit of work has ended.

    The same `client_key` from the same sender gives the message that was sent before.
    """
    if sender == PERSON:
        # An agent's run cannot outlive its phase; a person's words must not fall between two.
        pipelines.share_pipeline(session, pipeline_id=pipeline.id)
    phase_run = phase_runs.find_last_phase_run(session, pipeline_id=pipeline.id)
    _refuse_type(sender, draft)
    _refuse_recipient(session, pipeline, phase_run, draft)
    replied = draft.in_reply_to
    if replied is not None and not messages.has_message(session, pipeline_id=pipeline.id, message_id=replied):
        raise Unprocessable(f"there is no message {replied} to reply to")
    message = _written(draft, sender, now)
    message.pipeline_id = pipeline.id
    message.phase_run_id = phase_run.id if phase_run else None
    message.phase = phase_run.phase if phase_run else ""
    message.iteration = phase_run.iteration if phase_run else 0
    sent = events.post(session, message)
    wake(session, sent)
    judge(session, sent)
    return sent


def send_together(session: Session, *, outgoing: Sequence[Outgoing], now: datetime) -> list[Message | None]:
    """Send as the agents of several runs, of each one message, in one statement.

    None in the place of each that something is in the way of, which `send_from_run` names. Nobody is told
    yet: `wake` and `judge` do that, so that nobody's send waits for what another's has sent.
    """
    written = [_written(each.draft, each.role, now) for each in outgoing]
    wanted = [
        Sending(each.run_id, each.draft.to_role in COMMON, message, events.tells_of(message))
        for each, message in zip(outgoing, written, strict=True)
    ]
    are_sent = sends.send(session, sends=wanted)
    return [message if is_sent else None for message, is_sent in zip(written, are_sent, strict=True)]


def send_from_run(session: Session, *, run_id: UUID, draft: Draft, now: datetime) -> Message:
    """Send as the agent of a run, which is kept alive until then; `Conflict` when it is over.

    `UsedUp` when its share, or its pipeline's quota, is.
    """
    run = credentials.hold(session, run_id=run_id)
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    sent = send(session, pipeline=pipeline, sender=str(run.role), draft=draft, now=now)
    if sent not in session:  # as what was sent before with its key is
        shares.spend_on(session, run=run, message=sent, now=now)
    return sent


def wake(session: Session, message: Message) -> None:
    """Wake who waits for a message, sent now or before, or for the event that tells of it."""
    outbox.of(session).wake(News(message.pipeline_id, message.to_role), News(message.pipeline_id))


def is_waking(message: Message) -> bool:
    """Whether a message may make a role due, so that its phase run is to be evaluated."""
    is_to_role = message.to_role not in COMMON
    return is_to_role and message.message_type in WAKING and message.phase_run_id is not None


def judge(session: Session, message: Message) -> None:
    """Judge anew whether the role a message is for is due."""
    if is_waking(message) and message.phase_run_id is not None:
        outbox.of(session).add(Evaluation(message.phase_run_id, message.pipeline_id))


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


def _written(draft: Draft, sender: str, now: datetime) -> Message:
    return Message(
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


def _refuse_type(sender: str, draft: Draft) -> None:
    if draft.message_type in SYSTEM_TYPES:
        raise Forbidden(f"{draft.message_type} comes from the system only")
    if sender != PERSON and draft.message_type not in FROM_AGENTS:
        types = ", ".join(sorted(FROM_AGENTS))
        raise Forbidden(f"{draft.message_type} is for a person to send; an agent sends {types}")


def _refuse_recipient(session: Session, pipeline: Pipeline, phase_run: PhaseRun | None, draft: Draft) -> None:
    roles = phase_runs.list_roles(session, phase_run_id=phase_run.id) if phase_run else ()
    names = [role.role for role in roles]
    if draft.to_role in {TO_ORCHESTRATOR, TO_HUMAN}:
        return
    if draft.to_role != TO_ALL and draft.to_role not in names:
        roster = ", ".join([*names, TO_ALL, TO_ORCHESTRATOR, TO_HUMAN])
        raise Unprocessable(
            f"there is no {draft.to_role} to write to; write to one of: {roster}", {"roster": names}
        )
    if phase_run is not None and phase_run.status not in LIVE_PHASES:
        raise Conflict(
            f"pipeline {pipeline.id} is {pipeline.status}; nobody would read it",
            {"status": str(pipeline.status), "phase_status": str(phase_run.status)},
        )
    if any(role.role == draft.to_role and role.is_dropped for role in roles):
        raise Conflict(f"the phase goes on without {draft.to_role}; nobody would read it", {"roster": names})
