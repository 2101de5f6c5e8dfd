"""Server-sent events: a snapshot, then every event as it comes."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from egg_tasks.api.long_poll import LOOK_AGAIN_SECONDS, Waiters, heard
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.reads import history, pipeline_status
from models.errors import EggError, NotFound
from models.queries import pipelines
from models.queries import reports as rows
from models.schemas.history import EventPage
from models.schemas.report import StatusRead
from models.states import PipelineStatus, is_final

log = structlog.get_logger()

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = ": heartbeat\n\n"
PAGE = 500


@dataclass(frozen=True)
class Pace:
    """The two clocks of a stream."""

    heartbeat_seconds: float = 15.0
    """After so long a silence a comment is sent."""
    patience_seconds: float = 30.0
    """Whoever takes nothing for so long is closed; it may come back with Last-Event-ID."""


@dataclass(frozen=True)
class StatusAndEvents:
    """A pipeline's status and the events that follow a cursor, as of one moment."""

    status: PipelineStatus
    page: EventPage

    @property
    def is_over(self) -> bool:
        """Whether the pipeline has ended and all that happened in it is in the page."""
        return is_final(self.status) and not self.page.has_more


@dataclass(frozen=True)
class Beginning:
    """What a stream begins with: where the pipeline stands, and what follows its reader's cursor."""

    snapshot: StatusRead
    after: int
    look: StatusAndEvents


def begin(pipeline_id: str, after: int | None) -> Beginning:
    """Look at a pipeline from a cursor on; without one, from now on."""
    with unit_of_work() as session:
        snapshot = pipeline_status.status(session, pipeline_id=pipeline_id, now=utcnow())
        cursor = rows.last_event_id(session, pipeline_id=pipeline_id) if after is None else after
        page = history.list_events(session, pipeline_id=pipeline_id, after=cursor, limit=PAGE)
    return Beginning(snapshot, cursor, StatusAndEvents(snapshot.status, page))


async def stream(waiters: Waiters, pipeline_id: str, first: Beginning, pace: Pace) -> AsyncGenerator[str]:
    """The stream of a pipeline until it has ended; while the database is away only heartbeats come."""
    yield _written("snapshot", first.snapshot, number=first.after)
    found, spoke_at = first.look, time.monotonic()
    with waiters.watch(pipeline_id) as hint:
        while True:
            for event in found.page.events:
                yield _written(event.type, event, number=event.id)
                spoke_at = time.monotonic()
            if found.is_over:
                return
            silent_until = spoke_at + pace.heartbeat_seconds
            if not found.page.has_more:
                await heard(hint, min(LOOK_AGAIN_SECONDS, max(0, silent_until - time.monotonic())))
            hint.clear()
            if time.monotonic() >= silent_until:
                yield HEARTBEAT
                spoke_at = time.monotonic()
            found = await _next(pipeline_id, found)


class EventStream(StreamingResponse):
    """A stream that keeps nothing for its reader, and waits only so long for it to take what is sent."""

    def __init__(self, content: AsyncGenerator[str], *, patience_seconds: float) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type=MEDIA_TYPE, headers=headers)
        self._content = content
        self._patience = patience_seconds

    async def stream_response(self, send: Send) -> None:
        """Send what comes, until it ends or the reader takes nothing any more."""

        async def patiently(message: Message) -> None:
            await asyncio.wait_for(send(message), self._patience)

        async with aclosing(self._content):
            try:
                await super().stream_response(patiently)
            except TimeoutError:
                # Ending without the last part makes the server close the connection.
                log.info("stream.closed", why="its reader takes nothing", seconds=self._patience)


async def _next(pipeline_id: str, last: StatusAndEvents) -> StatusAndEvents:
    try:
        return await run_in_threadpool(_look, pipeline_id, last.page.next_after)
    except NotFound:
        # It was deleted: there is nothing more to tell, and whoever comes back hears so.
        page = EventPage(events=(), next_after=last.page.next_after, has_more=False)
        return StatusAndEvents(PipelineStatus.CANCELLED, page)
    except EggError:
        page = EventPage(events=(), next_after=last.page.next_after, has_more=False)
        return StatusAndEvents(last.status, page)


def _look(pipeline_id: str, after: int) -> StatusAndEvents:
    with unit_of_work() as session:
        # Read before the events: of a pipeline that has ended, the page then holds the last one.
        status = pipelines.get_pipeline(session, pipeline_id=pipeline_id).status
        return StatusAndEvents(
            status, history.list_events(session, pipeline_id=pipeline_id, after=after, limit=PAGE)
        )


def _written(name: str, data: BaseModel, *, number: int) -> str:
    text = json.dumps(data.model_dump(mode="json"), ensure_ascii=False)
    return f"id: {number}\nevent: {name}\ndata: {text}\n\n"
