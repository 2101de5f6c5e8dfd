"""Tokens: which agent run each speaks for, asked of the database for many at a time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import anyio.to_thread

from egg_tasks.database import single_statements
from egg_tasks.proof import name_of
from models.errors import TooMany
from models.queries import agent_runs
from models.schemas.credential import CallingAgent
from models.tables import AgentRun, TokenKind

MOST_KNOWN = 10_000
"""With so many they are all forgotten, to be looked up anew."""
MOST_ASKED = 1000
"""So many tokens may wait to be looked up."""
PAUSE_SECONDS = 0.1
"""Between two looks: however many tokens somebody makes up, the database is asked ten times a second."""


@dataclass(frozen=True)
class Given:
    """A token that somebody was given."""

    key: bytes
    """What is stored of it (`proof.key_of`)."""
    run_id: UUID
    kind: TokenKind


@dataclass(frozen=True)
class Known(Given):
    """One that an agent speaks with."""

    agent: CallingAgent


class Tokens:
    """Whose token is whose by its name (`proof.name_of`): that never changes. For use in one event loop."""

    def __init__(self) -> None:
        self._known: dict[str, Given] = {}
        self._asked: dict[str, asyncio.Future[Given | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def find(self, name: str) -> Known | None:
        """The agent's token of a name, its run over or not; None when no agent has it."""
        found = await self.find_any(name)
        return found if isinstance(found, Known) else None

    async def find_any(self, name: str) -> Given | None:
        """The same of whatever kind: what it opens, other than an agent's, is said by its kind."""
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

    async def _answer(self, asked: Mapping[str, asyncio.Future[Given | None]]) -> None:
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


def _find(names: Sequence[str]) -> Mapping[str, Given]:
    with single_statements() as session:
        found = agent_runs.list_agent_runs_by_token(session, names=names)
    return {name_of(key): _given(key, kind, run) for key, kind, run in found}


def _given(key: bytes, kind: TokenKind, run: AgentRun) -> Given:
    if kind is not TokenKind.AGENT or run.role is None:
        return Given(key, run.id, kind)
    return Known(key, run.id, kind, CallingAgent(run.id, run.pipeline_id, run.phase_run_id, run.role))
