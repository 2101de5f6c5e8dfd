"""The gateway's ledger: each request to a model is in it before it is sent; its end is written over it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar
from uuid import UUID

import anyio.to_thread
import structlog

from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.model_providers import Provider
from egg_tasks.services.agents import model_requests
from egg_tasks.services.agents.model_requests import Permit, Wish
from models.errors import DatabaseAway
from models.queries import agent_runs
from models.queries import model_requests as rows
from models.schemas.usage import RequestEnd

TRIES = 5
PAUSE_SECONDS = 0.7
"""The database may be started anew: an end is tried to be written for some seconds."""
MOST_UNWRITTEN = 10_000
"""So many ends are kept until the database is back."""
AT_ONCE = 500
"""So many of them are written at a beat, which others wait for."""

T = TypeVar("T")
log = structlog.get_logger()


class RequestEnded(NamedTuple):
    """How a request has ended, and when."""

    permit: Permit
    end: RequestEnd
    at: datetime


class Ledger:
    """Keeps it for the gateway of one node. For use in one event loop."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._since = utcnow()
        self._is_mended = False
        self._unwritten: dict[int, RequestEnded] = {}
        """By request, in the order they ended."""
        self._last_turns: dict[str, UUID] = {}
        """By key, the run that was let through first after a hold."""

    async def mend(self) -> None:
        """End what a gateway that is gone had begun, once; while the database is away, at a later call."""
        if self._is_mended:
            return
        try:
            lost = await _in_thread(partial(_end_lost, self._node, self._since))
        except DatabaseAway:
            return
        self._is_mended = True
        if lost:
            log.warning("gateway.requests_lost", number=lost)

    async def begin(
        self, run_id: UUID, provider: Provider, key_from: datetime, *, asks_model: bool
    ) -> Permit:
        """Note a request before it is sent; refused as `model_requests.begin` says."""
        had_last_turn = self._last_turns.get(provider.credential) == run_id
        wish = Wish(
            run_id, self._node, provider.name, provider.credential, key_from, asks_model, had_last_turn
        )
        permit = await _in_thread(partial(_begin, wish))
        if permit.is_trial:
            self._last_turns[wish.credential] = run_id
        return permit

    async def give_back(self, credential: str, permit: Permit) -> None:
        """Let another be the first one after a hold; while the database is away that comes by itself."""
        with suppress(DatabaseAway):
            await _in_thread(partial(_give_back, credential, permit))

    async def hear(self, credential: str, permit: Permit, status: int, retry_after: timedelta | None) -> None:
        """Take in what a provider answers, if that is of interest to others."""
        if not permit.is_trial and model_requests.reason_of(status, retry_after) is None:
            return
        try:
            await _in_thread(partial(_hear, credential, permit, status, retry_after))
        except DatabaseAway as error:
            log.warning("gateway.hold_unwritten", credential=credential, status=status, error=str(error))

    async def end(self, permit: Permit, end: RequestEnd) -> None:
        """Note how a request has ended; what cannot be written now is by `catch_up`."""
        ended = RequestEnded(permit, end, utcnow())
        for _ in range(TRIES):
            try:
                await _in_thread(partial(_end, ended))
            except DatabaseAway:
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return
        if len(self._unwritten) < MOST_UNWRITTEN:
            self._unwritten[permit.request_id] = ended
        else:
            _log_unwritten(ended)

    async def catch_up(self) -> None:
        """Write ends that could not be written; while the database is away, at a later call."""
        for request_id, ended in list(islice(self._unwritten.items(), AT_ONCE)):
            try:
                await _in_thread(partial(_end, ended))
            except DatabaseAway:
                return
            del self._unwritten[request_id]

    async def close(self) -> None:
        """Write what is left for the last time; what cannot be written is in the log."""
        await self.catch_up()
        for ended in self._unwritten.values():
            _log_unwritten(ended)


async def _in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work)


def _end_lost(node: str, before: datetime) -> int:
    with single_statements() as session:
        return rows.end_lost_requests(session, node=node, before=before, now=utcnow())


def _begin(wish: Wish) -> Permit:
    with unit_of_work() as session:
        providers = agent_runs.get_providers(session, run_id=wish.run_id)
        return model_requests.begin(session, wish=wish, providers=providers, now=utcnow())


def _hear(credential: str, permit: Permit, status: int, retry_after: timedelta | None) -> None:
    with unit_of_work() as session:
        model_requests.hear(
            session,
            credential=credential,
            permit=permit,
            status=status,
            retry_after=retry_after,
            now=utcnow(),
        )


def _give_back(credential: str, permit: Permit) -> None:
    with single_statements() as session:
        model_requests.give_back(session, credential=credential, permit=permit, now=utcnow())


def _end(ended: RequestEnded) -> None:
    with single_statements() as session:
        model_requests.end(session, permit=ended.permit, end=ended.end, now=ended.at)


def _log_unwritten(ended: RequestEnded) -> None:
    log.error("gateway.usage_unwritten", request=ended.permit.request_id, **ended.end.model_dump())
