"""The gateway's way to the API: what is for agents is passed on, and nothing else."""

import asyncio
import re
from urllib.parse import urlsplit

import h11

from egg_tasks import proof
from egg_tasks.gateway.guests import Guest
from egg_tasks.gateway.peers import BrokenError, Peer, UnansweredError, exchange, onwards
from egg_tasks.protocol import CONNECT_SECONDS, PREFIX, presentable
from egg_tasks.services.credentials import UNKNOWN
from egg_tasks.tokens import Tokens
from models.errors import Forbidden, Unauthenticated, Unavailable

OPEN = frozenset({f"GET {PREFIX}{path}" for path in ("/health", "/ready", proof.PATH)})
"""For anybody, as at the API: a client has the server prove itself before it tells its token."""
FOR_AGENTS = re.compile(
    rf"GET {PREFIX}/(decisions/[^/]+|pipelines/[^/]+/(context|decisions(/[^/]+)?|messages(/status)?))"
    rf"|POST {PREFIX}/pipelines/[^/]+/(decisions|messages|results|signal|sync)"
)
"""All that the API lets agents do; a test compares it with the API's own routes."""


class ApiRoute:
    """The way of one connection to the API: over a connection of its own, which ends with it.

    Who asks has the API prove itself at the other end of it, and would not know if that became another.
    """

    def __init__(self, url: str, tokens: Tokens, guest: Guest) -> None:
        self._parts = urlsplit(url)
        self._tokens = tokens
        self._guest = guest
        self._far: Peer | None = None

    async def take(self, near: Peer, request: h11.Request, path: str) -> None:
        """Pass one request on to the API; *path* is its target's, without the query."""
        await self._admit(f"{request.method.decode()} {path}", dict(request.headers))
        far = await self._reached()
        headers = [(name, value) for name, value in onwards(request.headers) if name != b"host"]
        asked = h11.Request(
            method=request.method,
            target=request.target,
            headers=[(b"Host", self._parts.netloc.rpartition("@")[2].encode()), *headers],
        )
        try:
            await exchange(near, far, asked)
        except UnansweredError as error:
            raise Unavailable("the API went away before it answered") from error
        if not far.is_done:
            raise BrokenError
        far.http.start_next_cycle()

    async def ended(self) -> None:
        """Return when the API has hung up; never, as long as nothing was asked."""
        if self._far is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self._far.hung_up()

    def close(self) -> None:
        """Hang up at the API."""
        if self._far is not None:
            self._far.abort()

    async def _admit(self, asked: str, headers: dict[bytes, bytes]) -> None:
        """Refuse what is not for agents, and who is none. Whether a run is over is the API's to say."""
        if asked in OPEN:
            return
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthenticated("this needs a credential: Authorization: Bearer TOKEN")
        said = presentable(token.strip().decode("latin-1"))
        known = await self._tokens.find(proof.name_of(proof.key_of(said)))
        if known is None:
            raise Unauthenticated(f"{UNKNOWN}; by this way the tokens of agents alone are taken")
        self._guest.is_of(known.agent.run_id)
        if not FOR_AGENTS.fullmatch(asked):
            raise Forbidden("this is not for agents; an agent asks with `egg message send --to human`")

    async def _reached(self) -> Peer:
        if self._far is not None:
            return self._far
        is_tls = self._parts.scheme == "https"
        port = self._parts.port or (443 if is_tls else 80)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                ways = await asyncio.open_connection(self._parts.hostname, port, ssl=is_tls or None)
        except (OSError, TimeoutError) as error:
            raise Unavailable("the API does not answer the gateway now: try again") from error
        self._far = Peer(h11.CLIENT, *ways)
        return self._far
