"""Events: a page, a long poll, or a stream of server-sent events."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from egg_tasks import wakeups
from egg_tasks.api import streaming
from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.long_poll import until
from egg_tasks.api.streaming import EventStream, Pace
from egg_tasks.database import unit_of_work
from egg_tasks.services.reads import history
from models.foreign import counted
from models.schemas.history import EventPage
from models.schemas.text import PipelineId

router = APIRouter(tags=["events"], dependencies=[OPERATOR])

LastSeen = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=2**63 - 1)]


class EventQuery(BaseModel):
    """Which events are asked for, and how long one waits for them."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    wait: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 0


@router.get(
    "/pipelines/{pipeline_id}/events",
    response_model=Envelope[EventPage],
    responses={200: {"content": {streaming.MEDIA_TYPE: {}}}},
)
async def list_(
    request: Request,
    pipeline_id: PipelineId,
    wanted: Annotated[EventQuery, Query()],
    last_event_id: LastSeen = None,
) -> Envelope[EventPage] | Response:
    """Read events above `after`, or stream them to whoever accepts text/event-stream."""
    if streaming.MEDIA_TYPE in request.headers.get("accept", ""):
        cursor = last_event_id if last_event_id is not None else wanted.after
        return await _stream(request, pipeline_id, cursor)

    def read() -> EventPage:
        with unit_of_work() as session:
            return history.list_events(
                session, pipeline_id=pipeline_id, after=wanted.after or 0, limit=wanted.limit
            )

    topics = [wakeups.events_of(pipeline_id)]
    reading = partial(run_in_threadpool, read)
    page = await until(request, topics, reading, lambda page: bool(page.events), seconds=wanted.wait)
    return Envelope(message=counted(len(page.events), "event"), data=page)


async def _stream(request: Request, pipeline_id: str, cursor: int | None) -> Response:
    """Begin a stream; all that can be refused is refused before its first byte."""
    first = await run_in_threadpool(streaming.begin, pipeline_id, cursor)
    if first.look.is_over and cursor is not None and not first.look.page.events:
        # What makes an EventSource stop coming back.
        return Response(status_code=204)
    pace: Pace = request.app.state.pace
    stream = streaming.stream(request.app.state.waiters, pipeline_id, first, pace)
    return EventStream(stream, patience_seconds=pace.patience_seconds)
