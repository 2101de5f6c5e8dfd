"""Deliveries: what is new is read once for all agents of a pipeline that wait for it."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from egg_tasks.database import single_statements
from egg_tasks.services.bus import polls
from egg_tasks.services.bus.polls import Received, WaitingPoll
from models.tables import Message

Tail = deque[Message]
"""The newest messages of a pipeline, without a gap, as far as this process has sent them itself."""
MOST_TAILS = 100
KEPT = 50
KEPT_BODY = 4096
"""Longer bodies, in characters, are read from the rows: so a process keeps some 50 MB at most."""
MOST = 200
"""So many are served in one write."""


class Deliveries:
    """One reading at a time for each pipeline; who asks meanwhile is in the next. To be used in one loop."""

    def __init__(self) -> None:
        self._tails: dict[str, Tail] = {}
        self._asked: dict[str, list[tuple[WaitingPoll, asyncio.Future[Received | None]]]] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}

    def keep(self, row: Message) -> None:
        """Keep a message; one that is long is not kept, and one that does not follow the last begins anew."""
        if len(row.body) > KEPT_BODY:
            return
        if len(self._tails) > MOST_TAILS:
            self._tails.clear()
        tail = self._tails.setdefault(row.pipeline_id, deque(maxlen=KEPT))
        if tail and tail[-1].id != row.id - 1:
            tail.clear()
        tail.append(row)

    def since(self, pipeline_id: str, after: int) -> Sequence[Message]:
        """All that came after a message if it is kept, else nothing."""
        tail = self._tails.get(pipeline_id)
        if not tail or tail[0].id > after + 1:
            return ()
        return [row for row in tail if row.id > after]

    async def ask(self, waiting: WaitingPoll) -> Received | None:
        """What is new for one that waits; None when it is to read by itself."""
        answer: asyncio.Future[Received | None] = asyncio.get_running_loop().create_future()
        pipeline_id = waiting.reader.pipeline_id
        self._asked.setdefault(pipeline_id, []).append((waiting, answer))
        if pipeline_id not in self._reading:
            self._reading[pipeline_id] = asyncio.create_task(self._read(pipeline_id))
        return await answer

    async def _read(self, pipeline_id: str) -> None:
        try:
            while asked := self._asked.pop(pipeline_id, None):
                batch, rest = asked[:MOST], asked[MOST:]
                if rest:
                    self._asked[pipeline_id] = rest
                await self._serve(pipeline_id, batch)
        finally:
            del self._reading[pipeline_id]

    async def _serve(
        self, pipeline_id: str, batch: Sequence[tuple[WaitingPoll, asyncio.Future[Received | None]]]
    ) -> None:
        # Two polls of one run would move one cursor twice: the later one reads by itself.
        first = {waiting.reader.run_id: waiting for waiting, _ in reversed(batch)}
        try:
            kept = self.since(pipeline_id, min(waiting.tip for waiting, _ in batch))
            found = await run_in_threadpool(partial(_deliver, list(first.values()), kept))
        except Exception as error:  # noqa: BLE001 - it is raised again, by each who asked
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for waiting, answer in batch:
            if not answer.done():
                is_served = first[waiting.reader.run_id] is waiting
                answer.set_result(found.get(waiting.reader.run_id) if is_served else None)


def _deliver(waiting: Sequence[WaitingPoll], kept: Sequence[Message]) -> Mapping[UUID, Received]:
    # Who finds nothing in what is kept was woken by what others have sent: that is in the rows alone.
    is_all_kept = all(any(polls.is_news(each, row) for row in kept) for each in waiting)
    with single_statements() as session:
        found = kept if is_all_kept else polls.find_for(session, waiting=waiting)
        return {} if found is None else polls.deliver(session, waiting=waiting, found=found)
