"""Who goes out by the gateway: a live run, by its token, and what its definition lets it reach."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import anyio.to_thread

from egg_tasks import proof
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.services import credentials
from egg_tasks.services.credentials import UNKNOWN
from egg_tasks.tokens import Given, Tokens
from models.errors import EggError, NotFound, Unauthenticated, Unavailable
from models.queries import agent_runs, egress
from models.schemas.network import Network
from models.tables import TokenKind
from models.tables.egress import Passage

MOST_KNOWN = 10_000
LISTED = "list"
"""Why somebody was refused whose list has no such entry."""
LOOK_AGAIN_SECONDS = 15.0
"""So often it is asked whether the run of what is under way still lives."""


@dataclass(frozen=True)
class Caller:
    """An agent run that lives, its set-up, or a check."""

    run_id: UUID
    pipeline_id: str
    network: Network
    kind: TokenKind = TokenKind.AGENT


class Callers:
    """Looks them up. For use in one event loop."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._networks: dict[tuple[UUID, TokenKind], Network] = {}
        """Pinned with the pipeline, so that they never change."""

    async def find(self, token: str) -> Caller:
        """The live run of an agent's token; `Unauthenticated` for none, `Conflict` for one that is over."""
        return await self._caller(await self._tokens.find(proof.name_of(proof.key_of(token))))

    async def find_outgoing(self, token: str) -> Caller:
        """The same, or whose set-up or check it is: those go out to hosts, and nowhere else."""
        return await self._caller(await self._tokens.find_any(proof.name_of(proof.key_of(token))))

    async def _caller(self, given: Given | None) -> Caller:
        if given is None:
            raise Unauthenticated(f"{UNKNOWN}; by this way the tokens of agents alone are taken")
        which = (given.run_id, given.kind)
        found = await anyio.to_thread.run_sync(partial(_look, given, self._networks.get(which)))
        if len(self._networks) >= MOST_KNOWN:
            self._networks.clear()
        self._networks[which] = found.network
        return found

    async def outlived(self, token: str) -> None:
        """Return when the run of a token is over; while the database is away nobody knows."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                await self.find_outgoing(token)
            except Unavailable:
                continue
            except EggError:
                return

    async def note(self, caller: Caller, host: str, port: int, passage: Passage, why: str = "") -> None:
        """Count one wish; what an agent did not ask for itself says whose it was."""
        if caller.kind is not TokenKind.AGENT and why in {"", LISTED}:
            why = caller.kind
        await anyio.to_thread.run_sync(partial(_note, caller.run_id, host, port, passage, why))


async def watched(work: Awaitable[None], end: Awaitable[None]) -> None:
    """Do the work until that comes to an end, or the other does."""
    doing, ending = asyncio.ensure_future(work), asyncio.ensure_future(end)
    try:
        await asyncio.wait((doing, ending), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            await doing
    finally:
        doing.cancel()
        ending.cancel()
        await asyncio.gather(doing, ending, return_exceptions=True)


def _look(given: Given, network: Network | None) -> Caller:
    try:
        with unit_of_work() as session:
            run = credentials.check(session, run_id=given.run_id)
            if given.kind is TokenKind.SETUP and not agent_runs.has_token(session, token_hash=given.key):
                raise Unauthenticated("the set-up that had this token is over")
            if network is None:
                network = agent_runs.get_network(session, run_id=given.run_id, kind=given.kind)
    except NotFound as error:
        raise Unauthenticated(UNKNOWN) from error
    return Caller(given.run_id, run.pipeline_id, network, given.kind)


def _note(run_id: UUID, host: str, port: int, passage: Passage, why: str) -> None:
    with single_statements() as session:
        egress.note(session, run_id=run_id, host=host, port=port, passage=passage, why=why, now=utcnow())
