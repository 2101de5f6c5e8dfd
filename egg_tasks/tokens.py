"""Tokens: which agent run each speaks for, asked of the database for many at a time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import anyio.to_thread

from egg_tasks.database import single_statements
from egg_tasks.proof import name_of
from models.errors import TooMany
from models.queries import agent_runs
from models.schemas.credential import CallingAgent

MOST_KNOWN = 10_000
"""With so many they are all forgotten, to be looked up anew."""
MOST_ASKED = 1000
"""So many tokens may wait to be looked up."""
PAUSE_SECONDS = 0.1
"""Between two looks: however many tokens somebody makes up, the database is asked ten times a second."""


@dataclass(frozen=True)
class Known:
    """A token that somebody was given."""

    key: bytes
    """What is stored of it (`proof.key_of`)."""
    agent: CallingAgent


class Tokens:
    """Whose token is whose by its name (`proof.name_of`): that never changes. For use in one event loop."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._asked: dict[str, asyncio.Future[Known | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def find(self, name: str) -> Known | None:
        """The token of a name, its run over or not; None when nobody knows it."""
        if found := self._known.get(name):
            return found
        if name not in self._asked:
            if len(self._asked) >= MOST_ASKED:
                raise TooMany("too many credentials are asked about at once", {"retry_after": 1})
            self._asked[name] = asyncio.get_running_loop().create_future()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._asked[name])

    async def _look(self) -> None:
        try:
            while asked := self._asked:
                self._asked = {}
                await self._answer(asked)
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._looking = None

    async def _answer(self, asked: Mapping[str, asyncio.Future[Known | None]]) -> None:
        try:
            # A thread of its own, since all the others may be taken.
            alone = anyio.CapacityLimiter(1)
            found = await anyio.to_thread.run_sync(partial(_find, list(asked)), limiter=alone)
        except Exception as error:  # noqa: BLE001 - it is raised again, by each who asked
            for answer in asked.values():
                answer.set_exception(error)
                answer.exception()  # who asked may have hung up
            return
        if len(self._known) + len(found) > MOST_KNOWN:
            self._known.clear()
        self._known.update(found)
        for name, answer in asked.items():
            answer.set_result(found.get(name))


def _find(names: Sequence[str]) -> Mapping[str, Known]:
    with single_statements() as session:
        return {
            name_of(key): Known(key, CallingAgent(run.id, run.pipeline_id, run.phase_run_id, run.role))
            for key, run in agent_runs.list_agent_runs_by_token(session, names=names)
            if run.role is not None
        }
