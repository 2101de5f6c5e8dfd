"""Long polls: requests that wait for a hint hold neither a thread nor a database connection."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from egg_tasks import wakeups
from egg_tasks.api.turns import Turn
from egg_tasks.database import unit_of_work
from models.errors import Unavailable
from models.queries import streams

T = TypeVar("T")

LOOK_AGAIN_SECONDS = 5.0
"""Hints may be lost; so often somebody looks at all streams that are waited on, for everybody."""


class Waiters:
    """Who waits on which topic of a pipeline. To be used in one event loop."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}
        self._tips: Mapping[str, int] = {}

    def wake(self, topic: str | None) -> None:
        """Wake who waits on a topic; None wakes everybody."""
        found = list(self._events.values()) if topic is None else [self._events.get(topic, set())]
        for events in found:
            for event in events:
                event.set()

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
        """An event that is set by every hint at one of the topics while the context lasts."""
        event = asyncio.Event()
        for topic in topics:
            self._events.setdefault(topic, set()).add(event)
        try:
            yield event
        finally:
            for topic in topics:
                watching = self._events[topic]
                watching.discard(event)
                if not watching:
                    del self._events[topic]

    async def look_again(self) -> None:
        """Wake those whose pipeline has something new although no hint came, for ever."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            watched = sorted({wakeups.pipeline_of(topic) for topic in self._events})
            with suppress(Unavailable):
                tips = await run_in_threadpool(_tips, watched)
                self._wake_changed(tips)

    def _wake_changed(self, tips: Mapping[str, int]) -> None:
        changed = {pipeline for pipeline, tip in tips.items() if self._tips.get(pipeline) != tip}
        self._tips = tips
        for topic in [topic for topic in self._events if wakeups.pipeline_of(topic) in changed]:
            self.wake(topic)


async def until(
    request: Request,
    topics: Sequence[str],
    read: Callable[[], Awaitable[T]],
    is_enough: Callable[[T], bool],
    *,
    seconds: float,
) -> T:
    """Read until that gives enough or *seconds* are over; the last thing read.

    Who waits holds a place among those that wait instead of a turn to work; `TooMany` when its credential
    has no more of them.
    """
    waiters: Waiters = request.app.state.waiters
    turn: Turn = request.state.turn
    deadline = asyncio.get_running_loop().time() + seconds
    place = request.state.share.waiting() if seconds else nullcontext()
    with place, waiters.watch(*topics) as hint:
        while True:
            hint.clear()
            found = await read()
            left = deadline - asyncio.get_running_loop().time()
            if is_enough(found) or left <= 0:
                return found
            turn.give_back()
            await heard(hint, left)
            # Who hung up must not be taken for one who received.
            if await request.is_disconnected():
                return found


async def heard(hint: asyncio.Event, seconds: float) -> None:
    """Wait for a hint, but no longer than *seconds*."""
    with suppress(TimeoutError):
        await asyncio.wait_for(hint.wait(), seconds)


def _tips(pipeline_ids: Sequence[str]) -> Mapping[str, int]:
    if not pipeline_ids:
        return {}
    with unit_of_work() as session:
        return streams.tips(session, pipeline_ids=pipeline_ids)
