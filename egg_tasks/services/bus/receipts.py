"""Receipts: who has received and handled what, and what becomes of messages nobody will handle any more."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.services.bus import events
from models.foreign import counted, named
from models.queries import messages, phase_runs, pipelines, shares
from models.queries.messages import MessagesWaiting
from models.schemas.history import MessagesRead, Receipt
from models.schemas.message import TO_ORCHESTRATOR, MessageType
from models.tables import Message, PhaseRun, Role

MOST = 1000
"""So many messages are named at most; a role that has left more unhandled says nothing new with the rest."""
SPOKEN = 20
"""So many of them in a sentence."""


def messages_read(session: Session, *, pipeline_id: str) -> MessagesRead:
    """How many messages there are, and how far each role of the newest phase run is with them."""
    pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    by_type = dict(messages.count_by_type(session, pipeline_id=pipeline_id))
    last = phase_runs.find_last_phase_run(session, pipeline_id=pipeline_id)
    stream = shares.get_stream(session, pipeline_id=pipeline_id)
    return MessagesRead(
        total=sum(by_type.values()),
        by_type=by_type,
        by_role=dict(messages.count_by_sender(session, pipeline_id=pipeline_id)),
        receipts=_receipts(session, last) if last else {},
        stored_bytes=stream.stored_bytes,
        quota_bytes=stream.quota,
    )


def bounce(session: Session, *, phase_run: PhaseRun, role: Role, now: datetime) -> None:
    """Tell whoever wrote to a role that is dropped which of that was never handled; each sender once."""
    by_sender: dict[str, list[Message]] = defaultdict(list)
    for message in _left(session, phase_run, role):
        by_sender[message.from_role].append(message)
    for sender, left in by_sender.items():
        if sender == TO_ORCHESTRATOR:
            continue
        what = left[0].subject or left[0].message_type if len(left) == 1 else counted(len(left), "message")
        events.announce(
            session,
            MessageType.STATUS,
            f"never read by {role.role}: {what}",
            now=now,
            phase_run=phase_run,
            to_role=sender,
            body=_bounced(role, left),
            metadata={"never_read_by": role.role, "message_ids": [message.id for message in left]},
            in_reply_to=left[-1].id,
        )


def unhandled(session: Session, *, phase_run: PhaseRun) -> Mapping[str, Sequence[int]]:
    """By role, the messages to it alone that no run of it has handled; what was bounced is among them."""
    roles = phase_runs.list_roles(session, phase_run_id=phase_run.id)
    left = {role.role: [message.id for message in _left(session, phase_run, role)] for role in roles}
    return {role: ids for role, ids in left.items() if ids}


def sentence(left: Mapping[str, Sequence[int]]) -> str:
    """What to add to the sentence that a phase is over."""
    parts = [f"{role} {named(ids, most=SPOKEN)}" for role, ids in left.items()]
    return f"; never handled: {'; '.join(parts)}" if parts else ""


def _receipts(session: Session, phase_run: PhaseRun) -> dict[str, Receipt]:
    waiting = messages.count_waiting(session, pipeline_id=phase_run.pipeline_id, phase_run_id=phase_run.id)
    return {
        row.role: _receipt(row, waiting.get(row.role, MessagesWaiting()))
        for row in phase_runs.list_roles(session, phase_run_id=phase_run.id)
    }


def _receipt(row: Role, waiting: MessagesWaiting) -> Receipt:
    return Receipt(
        delivered=row.cursor,
        handled=row.handled_message,
        unread=waiting.unread,
        unhandled=waiting.unhandled,
        dropped=row.is_dropped,
    )


def _left(session: Session, phase_run: PhaseRun, role: Role) -> Sequence[Message]:
    return messages.list_addressed(
        session,
        pipeline_id=phase_run.pipeline_id,
        phase_run_id=phase_run.id,
        role=role.role,
        after=role.handled_message,
        limit=MOST,
    )


def _bounced(role: Role, left: Sequence[Message]) -> str:
    lines = [f"{message.id} {message.message_type}: {message.subject}" for message in left]
    text = "\n".join([f"The phase goes on without {role.role}. Nobody will act on:", *lines])
    return text.encode()[: 60 * 1024].decode(errors="ignore")
