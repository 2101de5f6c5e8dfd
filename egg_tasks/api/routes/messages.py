"""The bus: send, poll, count."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from egg_tasks import wakeups
from egg_tasks.api.auth import Member, Talker
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.fanout import Deliveries
from egg_tasks.api.long_poll import until
from egg_tasks.api.sends import Sends
from egg_tasks.database import unit_of_work
from egg_tasks.services.bus import messages, receipts
from egg_tasks.services.bus.messages import PERSON, Draft, Outgoing
from egg_tasks.services.bus.polls import PollPage, Received, Selection, WaitingPoll
from egg_tasks.use_cases import talking
from models.errors import Forbidden, Malformed
from models.foreign import counted
from models.schemas.credential import CallingAgent, Operator
from models.schemas.history import MessagesRead
from models.schemas.http import MessageIn, Name
from models.schemas.message import TO_ALL, MessageRead, MessageType
from models.schemas.text import PipelineId, RoleName
from models.tables import Message

router = APIRouter(tags=["messages"])


class MessageQuery(BaseModel):
    """Which messages are asked for, and how long one waits for them."""

    since_id: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    """Read after this one; without it, after what the role has received."""
    poll_key: Name | None = None
    """Without since_id: one for each poll, the same when it is tried again after its answer was lost."""
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    wait: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 0
    type: tuple[MessageType, ...] = ()
    scope: Literal["phase", "pipeline"] = "phase"
    include_own: bool = False
    role: RoleName | Literal["human", "orchestrator"] | None = None
    """Whose messages: a person must say it, an agent can only name itself."""


class MessageAnswer(BaseModel):
    """One message."""

    message: MessageRead


class MessagesAnswer(BaseModel):
    """The oldest messages after a cursor."""

    messages: tuple[MessageRead, ...]
    count: int
    next_since_id: int
    has_more: bool


@router.post("/pipelines/{pipeline_id}/messages", status_code=201)
async def send(pipeline_id: PipelineId, body: MessageIn, who: Talker) -> Envelope[MessageAnswer]:
    """Send a message; with a `client_key` that was used before, nothing is sent twice."""
    _refuse_sender(who, body.from_role)
    return sent_answer(await run_in_threadpool(talking.send, who, pipeline_id, _draft(body)))


@router.get("/pipelines/{pipeline_id}/messages")
async def poll(
    request: Request,
    pipeline_id: PipelineId,
    who: Talker,
    wanted: Annotated[MessageQuery, Query()],
) -> Envelope[MessagesAnswer]:
    """Read what is new for a role, waiting up to `wait` seconds for it."""
    if isinstance(who, CallingAgent):
        return page_answer(await receive(request, who, wanted))
    if wanted.role is None:
        raise Malformed("say whose messages to read: role=ROLE (or --role ROLE)")
    return page_answer(await _look(request, pipeline_id, wanted.role, wanted))


@router.get("/pipelines/{pipeline_id}/messages/status")
def status(pipeline_id: PipelineId, _who: Member) -> Envelope[MessagesRead]:
    """Count the messages, and say how far each role is with them."""
    with unit_of_work() as session:
        found = receipts.messages_read(session, pipeline_id=pipeline_id)
    return Envelope(message=counted(found.total, "message"), data=found)


async def send_together(request: Request, who: CallingAgent, body: MessageIn) -> Message | None:
    """Send as an agent, with those who send now; None when it is to be sent alone."""
    who.must_be(role=body.from_role)
    sends: Sends = request.app.state.sends
    sent = await sends.send(Outgoing(who.run_id, who.role, _draft(body)))
    if sent is not None and messages.is_waking(sent):
        await run_in_threadpool(talking.judge, sent)
    return sent


async def receive(request: Request, who: CallingAgent, wanted: MessageQuery) -> PollPage:
    """Give an agent what is new for it: it reads by itself once, then together with all who wait."""
    who.must_be(role=wanted.role)
    deliveries: Deliveries = request.app.state.deliveries
    selection = _selection(wanted)
    waiting: WaitingPoll | None = None

    async def read() -> Received:
        nonlocal waiting
        found = await deliveries.ask(waiting) if waiting else None
        if found is None:
            found = await run_in_threadpool(talking.receive, who, selection)
        waiting = WaitingPoll(found.reader, selection, found.page.tip)
        return found

    topics = [wakeups.messages_to(who.pipeline_id, to_role) for to_role in (who.role, TO_ALL)]
    found = await until(request, topics, read, lambda found: bool(found.page.messages), seconds=wanted.wait)
    return found.page


def sent_answer(sent: Message) -> Envelope[MessageAnswer]:
    """What is answered to who has sent a message."""
    return Envelope(message=f"message {sent.id} is sent", data=MessageAnswer(message=messages.read(sent)))


def page_answer(page: PollPage) -> Envelope[MessagesAnswer]:
    """What is answered to who reads."""
    answer = MessagesAnswer(
        messages=tuple(page.messages),
        count=len(page.messages),
        next_since_id=page.next_since_id,
        has_more=page.has_more,
    )
    return Envelope(message=counted(answer.count, "message"), data=answer)


async def _look(request: Request, pipeline_id: str, role: str, wanted: MessageQuery) -> PollPage:
    """Show a person what is for a role: nothing is taken from the role by that."""
    topics = [wakeups.messages_to(pipeline_id, to_role) for to_role in (role, TO_ALL)]
    reading = partial(run_in_threadpool, talking.look, pipeline_id, role, _selection(wanted))
    return await until(request, topics, reading, lambda page: bool(page.messages), seconds=wanted.wait)


def _refuse_sender(who: Operator | CallingAgent, from_role: str | None) -> None:
    if isinstance(who, CallingAgent):
        who.must_be(role=from_role)
    elif from_role not in {None, PERSON}:
        raise Forbidden(f"the operator writes as `{PERSON}`, not as {from_role}")


def _draft(body: MessageIn) -> Draft:
    return Draft(
        message_type=body.message_type,
        to_role=body.to_role,
        subject=body.subject,
        body=body.body,
        metadata=dict(body.metadata),
        in_reply_to=body.in_reply_to,
        client_key=body.client_key,
    )


def _selection(wanted: MessageQuery) -> Selection:
    return Selection(
        since=wanted.since_id,
        limit=wanted.limit,
        types=wanted.type,
        is_whole_pipeline=wanted.scope == "pipeline",
        include_own=wanted.include_own,
        poll_key=wanted.poll_key,
    )
