"""Who goes out by the gateway: a live agent run, by its token, and what its definition lets it reach."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

import anyio.to_thread

from egg_tasks import proof
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.services import credentials
from egg_tasks.services.credentials import UNKNOWN
from egg_tasks.tokens import Tokens
from models.errors import NotFound, Unauthenticated
from models.queries import agent_runs, egress
from models.schemas.network import Network
from models.tables.egress import Passage

MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Caller:
    """An agent run that lives."""

    run_id: UUID
    pipeline_id: str
    network: Network


class Callers:
    """Looks them up. For use in one event loop."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._networks: dict[UUID, Network] = {}
        """Pinned with the pipeline, so that they never change."""

    async def find(self, token: str) -> Caller:
        """The live run of a token; `Unauthenticated` for none, `Conflict` for one that is over."""
        known = await self._tokens.find(proof.name_of(proof.key_of(token)))
        if known is None:
            raise Unauthenticated(f"{UNKNOWN}; by this way the tokens of agents alone are taken")
        run_id = known.agent.run_id
        found = await anyio.to_thread.run_sync(partial(_look, run_id, self._networks.get(run_id)))
        if len(self._networks) >= MOST_KNOWN:
            self._networks.clear()
        self._networks[run_id] = found.network
        return found

    async def note(self, caller: Caller, host: str, port: int, passage: Passage, why: str = "") -> None:
        """Count one wish."""
        await anyio.to_thread.run_sync(partial(_note, caller.run_id, host, port, passage, why))


def _look(run_id: UUID, network: Network | None) -> Caller:
    try:
        with unit_of_work() as session:
            run = credentials.check(session, run_id=run_id)
            if network is None:
                network = agent_runs.get_network(session, run_id=run_id)
    except NotFound as error:
        raise Unauthenticated(UNKNOWN) from error
    return Caller(run_id, run.pipeline_id, network)


def _note(run_id: UUID, host: str, port: int, passage: Passage, why: str) -> None:
    with single_statements() as session:
        egress.note(session, run_id=run_id, host=host, port=port, passage=passage, why=why, now=utcnow())
