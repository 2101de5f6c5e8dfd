"""The whole conversation of a pipeline, for people."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from egg_tasks import wakeups
from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.long_poll import until
from egg_tasks.database import unit_of_work
from egg_tasks.services.reads import conversations
from egg_tasks.services.reads.conversations import ConversationPart
from models.foreign import counted
from models.queries.messages import Talk
from models.schemas.http import Name
from models.schemas.message import MessageRead, MessageType
from models.schemas.text import PipelineId

router = APIRouter(tags=["messages"], dependencies=[OPERATOR])


class ConversationQuery(BaseModel):
    """Which messages are asked for, and how long one waits for them."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    wait: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 0
    role: Name | None = None
    """Those from it and those to it."""
    from_role: Name | None = None
    to_role: Name | None = None
    type: tuple[MessageType, ...] = ()


class ConversationAnswer(BaseModel):
    """The oldest messages after a number, whoever they are for. Without any there may still be more."""

    messages: tuple[MessageRead, ...]
    next_after: int
    has_more: bool


@router.get("/pipelines/{pipeline_id}/messages/history")
async def read(
    request: Request, pipeline_id: PipelineId, wanted: Annotated[ConversationQuery, Query()]
) -> Envelope[ConversationAnswer]:
    """Read what was said, in order, waiting up to `wait` seconds for it; nobody's cursor moves by that."""
    talk = Talk(role=wanted.role, sender=wanted.from_role, recipient=wanted.to_role, types=wanted.type)

    def look() -> ConversationPart:
        with unit_of_work() as session:
            return conversations.read(
                session, pipeline_id=pipeline_id, after=wanted.after, limit=wanted.limit, of=talk
            )

    def is_enough(part: ConversationPart) -> bool:
        return bool(part.messages) or part.has_more

    topics = [wakeups.events_of(pipeline_id)]
    part = await until(request, topics, partial(run_in_threadpool, look), is_enough, seconds=wanted.wait)
    answer = ConversationAnswer(
        messages=tuple(part.messages), next_after=part.next_after, has_more=part.has_more
    )
    return Envelope(message=counted(len(answer.messages), "message"), data=answer)
