"""Long polls: requests that wait for a hint hold neither a thread nor a database connection."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

T = TypeVar("T")

LOOK_AGAIN_SECONDS = 5.0
"""Hints may be lost; after so long a reader looks by itself."""


class Waiters:
    """Who waits on which pipeline. To be used in one event loop."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}

    def wake(self, pipeline_id: str | None) -> None:
        """Wake who waits on a pipeline; None wakes everybody."""
        found = self._events.values() if pipeline_id is None else [self._events.get(pipeline_id, set())]
        for events in found:
            for event in events:
                event.set()

    @contextmanager
    def watch(self, pipeline_id: str) -> Iterator[asyncio.Event]:
        """An event that is set by every hint at the pipeline while the context lasts."""
        event = asyncio.Event()
        self._events.setdefault(pipeline_id, set()).add(event)
        try:
            yield event
        finally:
            watching = self._events[pipeline_id]
            watching.remove(event)
            if not watching:
                del self._events[pipeline_id]


async def until(
    request: Request,
    pipeline_id: str,
    read: Callable[[], T],
    is_enough: Callable[[T], bool],
    *,
    seconds: float,
) -> T:
    """Read until that gives enough or *seconds* are over; the last thing read."""
    waiters: Waiters = request.app.state.waiters
    deadline = asyncio.get_running_loop().time() + seconds
    with waiters.watch(pipeline_id) as hint:
        while True:
            hint.clear()
            found = await run_in_threadpool(read)
            left = deadline - asyncio.get_running_loop().time()
            if is_enough(found) or left <= 0:
                return found
            await heard(hint, min(left, LOOK_AGAIN_SECONDS))
            # Who hung up must not be taken for one who received.
            if await request.is_disconnected():
                return found


async def heard(hint: asyncio.Event, seconds: float) -> None:
    """Wait for a hint, but no longer than *seconds*."""
    with suppress(TimeoutError):
        await asyncio.wait_for(hint.wait(), seconds)
