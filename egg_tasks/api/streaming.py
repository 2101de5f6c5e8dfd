"""Server-sent events: a snapshot, then every event as it comes."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from egg_tasks.api.waiting import LOOK_AGAIN_SECONDS, Waiters, heard
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services import histories, reports
from models.errors import EggError
from models.queries import reports as rows
from models.schemas.history import EventPage
from models.schemas.report import StatusRead
from models.states import is_final

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = ": heartbeat\n\n"
HEARTBEAT_SECONDS = 15.0
PAGE = 500


@dataclass(frozen=True)
class Look:
    """A pipeline's state and the events that follow a cursor, as of one moment."""

    status: StatusRead
    page: EventPage
    after: int

    @property
    def is_over(self) -> bool:
        """Whether the pipeline has ended and all that happened in it is in the page."""
        return is_final(self.status.status) and not self.page.has_more


def look(pipeline_id: str, after: int | None) -> Look:
    """Look at a pipeline from a cursor on; without one, from now on."""
    with unit_of_work() as session:
        status = reports.status(session, pipeline_id=pipeline_id, now=utcnow())
        cursor = rows.last_event_id(session, pipeline_id=pipeline_id) if after is None else after
        page = histories.list_events(session, pipeline_id=pipeline_id, after=cursor, limit=PAGE)
    return Look(status, page, cursor)


async def stream(waiters: Waiters, pipeline_id: str, first: Look) -> AsyncIterator[str]:
    """The stream of a pipeline until it has ended; while the database is away only heartbeats come."""
    yield _written("snapshot", first.status, number=first.after)
    found, silence = first, 0.0
    with waiters.watch(pipeline_id) as hint:
        while True:
            for event in found.page.events:
                yield _written(event.type, event, number=event.id)
                silence = 0.0
            if found.is_over:
                return
            if not found.page.has_more:
                await heard(hint, LOOK_AGAIN_SECONDS)
                silence = 0.0 if hint.is_set() else silence + LOOK_AGAIN_SECONDS
            hint.clear()
            if silence >= HEARTBEAT_SECONDS:
                yield HEARTBEAT
                silence = 0.0
            found = await _next(pipeline_id, found)


async def _next(pipeline_id: str, last: Look) -> Look:
    try:
        return await run_in_threadpool(look, pipeline_id, last.page.next_after)
    except EggError:
        page = EventPage(events=(), next_after=last.page.next_after, has_more=False)
        return Look(last.status, page, last.page.next_after)


def _written(name: str, data: BaseModel, *, number: int) -> str:
    text = json.dumps(data.model_dump(mode="json"), ensure_ascii=False)
    return f"id: {number}\nevent: {name}\ndata: {text}\n\n"
