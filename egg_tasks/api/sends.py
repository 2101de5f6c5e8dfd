"""Sends of agents: one commit at a time, and what is sent meanwhile shares the next."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import anyio.to_thread

from egg_tasks.api.fanout import Deliveries
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements
from egg_tasks.services.bus import messages
from egg_tasks.services.bus.messages import Outgoing
from models.tables import Message

MOST = 64
"""So many are sent in one statement."""
AtOnce = Callable[[Sequence[Outgoing]], Sequence[Message | None]]
"""Sends, of each run one message; None in the place of what something is in the way of."""
Asked = tuple[Outgoing, asyncio.Future[Message | None]]


class Sends:
    """Who sends in this process. A send alone waits for nobody. To be used in one loop."""

    def __init__(self, deliveries: Deliveries, *, at_once: AtOnce | None = None) -> None:
        self._deliveries = deliveries
        self._at_once = at_once or _at_once
        self._asked: list[Asked] = []
        self._sending: asyncio.Task[None] | None = None
        self._untold: list[Message] = []
        self._telling: asyncio.Task[None] | None = None

    async def send(self, outgoing: Outgoing) -> Message | None:
        """Send with those who send now; None when something is in the way of it, and it is to be sent alone.

        It is sent though who asked be cancelled, unless that was before its turn.
        """
        answer: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        self._asked.append((outgoing, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await answer

    async def _send_all(self) -> None:
        # A thread of its own, since all the others may be taken.
        alone = anyio.CapacityLimiter(1)
        try:
            while batch := self._next():
                outgoing = [each for each, _ in batch]
                try:
                    sent = await anyio.to_thread.run_sync(self._at_once, outgoing, limiter=alone)
                except Exception as error:  # noqa: BLE001 - it is raised again, by each who asked
                    for _, answer in batch:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                self._answer(batch, sent)
        finally:
            self._sending = None

    def _next(self) -> list[Asked]:
        """Take the longest waiting, of each run one: so each is judged by what was sent before it."""
        first: dict[UUID, Asked] = {}
        rest = []
        for asked in self._asked:
            outgoing, answer = asked
            if answer.done():
                continue
            if outgoing.run_id in first or len(first) == MOST:
                rest.append(asked)
            else:
                first[outgoing.run_id] = asked
        self._asked = rest
        return list(first.values())

    def _answer(self, batch: Sequence[Asked], sent: Sequence[Message | None]) -> None:
        for (_, answer), message in zip(batch, sent, strict=True):
            if message is not None:
                self._deliveries.keep(message)
            if not answer.done():
                answer.set_result(message)
        self._untold += filter(None, sent)
        if self._untold and self._telling is None:
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        alone = anyio.CapacityLimiter(1)
        try:
            while self._untold:
                told, self._untold = self._untold, []
                await anyio.to_thread.run_sync(_tell, told, limiter=alone)
        finally:
            self._telling = None


def _at_once(outgoing: Sequence[Outgoing]) -> Sequence[Message | None]:
    with single_statements() as session:
        return messages.send_together(session, outgoing=outgoing, now=utcnow())


def _tell(sent: Sequence[Message]) -> None:
    with single_statements() as session:
        for message in sent:
            messages.wake(session, message)
