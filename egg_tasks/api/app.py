"""The API: one door, two kinds of credential."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI

from egg_tasks import database, descriptors, garbage, logging, wakeups
from egg_tasks.api import connections, errors, used_up, versions
from egg_tasks.api.background import kept
from egg_tasks.api.body_limit import Bodies
from egg_tasks.api.envelope import Refusal
from egg_tasks.api.fanout import Deliveries
from egg_tasks.api.fast_path import FastPath
from egg_tasks.api.gate import Admission
from egg_tasks.api.long_poll import Waiters
from egg_tasks.api.rate_limit import Rates
from egg_tasks.api.routes import (
    agents,
    conversations,
    decisions,
    disk,
    egress,
    events,
    front,
    halts,
    health,
    messages,
    overview,
    phases,
    pipelines,
    proof,
    results,
    signals,
    usage,
)
from egg_tasks.api.sends import Sends
from egg_tasks.api.streaming import Pace
from egg_tasks.api.turns import Shares, Turns
from egg_tasks.app import answer_quickly
from egg_tasks.config import settings
from egg_tasks.tasks.dispatch import TaskSender
from egg_tasks.tokens import Tokens
from models.errors import UsedUp

STATUSES = (400, 401, 403, 404, 409, 413, 422, 429, 503)


def create_app(pace: Pace | None = None) -> FastAPI:
    """Build the application; its settings are read when it first needs them."""
    logging.configure()
    connections.speak_seldom()
    descriptors.raise_limit()
    answer_quickly()
    database.use(TaskSender())
    app = FastAPI(
        title="egg-tasks",
        version="1",
        openapi_url=f"{errors.PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_listening,
        # To ask for each request whether anybody wants it took a twentieth of a send.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses={status: {"model": Refusal} for status in STATUSES},
    )
    app.state.waiters = Waiters()
    app.state.deliveries = Deliveries()
    app.state.sends = Sends(app.state.deliveries)
    app.state.rates = Rates()
    app.state.tokens = Tokens()
    app.state.pace = pace or Pace()
    errors.install(app)
    app.add_exception_handler(UsedUp, used_up.answer)
    # The last one added is the first to see a request.
    app.add_middleware(FastPath)
    app.add_middleware(Turns)
    app.add_middleware(Bodies)
    shares = Shares(most_waiting=connections.most() * 3 // 4)
    app.add_middleware(Admission, tokens=app.state.tokens, rates=app.state.rates, shares=shares)
    app.add_middleware(errors.Bugs)
    app.add_middleware(versions.VersionHeader)
    seen = (overview, conversations, events, phases, results, disk, egress, usage)
    # They are tried in this order for each request: what agents ask most comes first.
    kinds = (messages, signals, agents, health, proof, halts, pipelines, decisions, *seen)
    for module in kinds:
        app.include_router(module.router, prefix=errors.PREFIX)
    app.include_router(front.router)
    return app


@asynccontextmanager
async def _listening(app: FastAPI) -> AsyncIterator[None]:
    """Pass hints on to those who wait, as long as the application runs."""
    settings()
    waiters: Waiters = app.state.waiters
    works: dict[str, Callable[[], Awaitable[None]]] = {
        "hints": partial(wakeups.listen, waiters.wake),
        "look_again": waiters.look_again,
    }
    tasks = [asyncio.create_task(kept(name, work)) for name, work in works.items()]
    garbage.look_seldom()
    try:
        yield
    finally:
        garbage.look_as_usual()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
