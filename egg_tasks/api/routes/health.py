"""Whether the server is there, whether it can work, and how much it has done."""

import asyncio

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import REGISTRY
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from egg_tasks import wakeups
from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.api.metrics import measured
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from migrations import applied
from models.errors import Unavailable

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """Nothing more than an answer."""

    status: str


class Ready(BaseModel):
    """What the server needs, and how that is."""

    database: str
    broker: str
    schema_revision: str


@router.get("/health")
async def health() -> Envelope[Alive]:
    """Say that the server is there; nothing else is asked."""
    return Envelope(message="the server is there", data=Alive(status="ok"))


@router.get("/ready")
async def ready(request: Request) -> Envelope[Ready]:
    """Touch the database and the broker; 503 names what is away or out of date.

    Anybody may ask, so that all who ask at once are answered with one look.
    """
    state = request.app.state
    if getattr(state, "looking", None) is None:
        state.looking = asyncio.create_task(run_in_threadpool(_look))
        state.looking.add_done_callback(lambda _: setattr(state, "looking", None))
    looking: asyncio.Task[Envelope[Ready]] = state.looking
    return await asyncio.shield(looking)


@router.get("/metrics", response_class=Response, dependencies=[OPERATOR])
def metrics() -> Response:
    """Numbers for Prometheus: what the rows say, and this process."""
    with unit_of_work() as session:
        rows = generate_latest(measured(session))
    return Response(rows + generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _look() -> Envelope[Ready]:
    found = applied.require_head(settings().database_url)
    if away := wakeups.ping():
        raise Unavailable(f"the broker cannot be reached ({away}); check EGG_REDIS_URL", {"broker": away})
    return Envelope(message="ready", data=Ready(database="ok", broker="ok", schema_revision=found))
