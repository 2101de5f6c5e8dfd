"""Conversations: all that was said in a pipeline, as people read it. Nothing is written by that."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from egg_tasks.services.bus import messages
from egg_tasks.services.bus.polls import PAGE_BYTES
from models.errors import Conflict
from models.queries import messages as message_rows
from models.queries import pipelines, streams
from models.queries.messages import Talk
from models.schemas.message import MessageRead

WINDOW = 5000
"""So many numbers one page looks through at most, however few of them are wanted."""


@dataclass(frozen=True)
class ConversationPart:
    """A part of a conversation, and where the next one begins; it may hold nothing and still not be all."""

    messages: Sequence[MessageRead]
    next_after: int
    has_more: bool


def read(session: Session, *, pipeline_id: str, after: int, limit: int, of: Talk) -> ConversationPart:
    """The oldest messages above *after* that are wanted; `Conflict` when that is beyond the newest."""
    pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    tip = streams.last_message_id(session, pipeline_id=pipeline_id)
    if after > tip:
        raise Conflict(f"there is no message {after} yet; the newest is {tip}", {"tip": tip})
    end = min(tip, after + WINDOW)
    found = message_rows.list_history(
        session,
        pipeline_id=pipeline_id,
        after=after,
        up_to=end,
        limit=limit,
        most_bytes=PAGE_BYTES,
        of=of,
    )
    page = tuple(messages.read(message) for message in found.messages)
    if found.has_more:
        return ConversationPart(page, page[-1].id, has_more=True)
    return ConversationPart(page, end, has_more=end < tip)
