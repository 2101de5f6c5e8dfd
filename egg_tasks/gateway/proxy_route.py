"""The gateway's way to hosts beyond: CONNECT and absolute targets, by the list of the agent run that asks."""

import asyncio
import base64
import binascii
from collections import Counter
from urllib.parse import urlsplit
from uuid import UUID

import h11

from egg_tasks.gateway import addresses
from egg_tasks.gateway.callers import LISTED, Caller, Callers, watched
from egg_tasks.gateway.guests import Guest
from egg_tasks.gateway.own_networks import own_networks
from egg_tasks.gateway.peers import PIECE, Peer, UnansweredError, exchange, onwards
from egg_tasks.protocol import presentable
from models.errors import Forbidden, Malformed, TooMany, Unauthenticated, Unavailable
from models.schemas.network import HOST, MAX_HOST, Address, address_of
from models.tables import TokenKind
from models.tables.egress import Passage

MOST_OF_A_RUN = 64
HELD_SECONDS = 0.1
"""A refusal comes so late: who asks again at once asks that much less often."""
CREDENTIAL = b"proxy-authorization"
LISTS = {
    TokenKind.AGENT: ("agent", "`isolation.network.allow`"),
    TokenKind.SETUP: ("set-up", "`workspace.network`"),
    TokenKind.CHECK: ("check", "`check.isolation.network.allow`"),
}
"""Who goes out, and where the definition says what it reaches."""


class ProxyRoute:
    """The way of all connections to hosts beyond."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._under_way: Counter[UUID] = Counter()

    async def take(self, near: Peer, guest: Guest, request: h11.Request) -> None:
        """Lead one request to the host it names, if its run may reach that."""
        token = _token(request)
        caller = await self._callers.find_outgoing(token)
        guest.is_of(caller.run_id)
        is_tunnel = request.method == b"CONNECT"
        host, port, path = _target(request, is_tunnel=is_tunnel)
        if self._under_way[caller.run_id] >= MOST_OF_A_RUN:
            raise TooMany(f"this run has {MOST_OF_A_RUN} connections to hosts already", {"retry_after": 1})
        self._under_way[caller.run_id] += 1
        try:
            found = await self._admitted(caller, host, port)
            far = Peer(h11.CLIENT, *await addresses.connected(found, port, host=host))
            try:
                if is_tunnel:
                    if not isinstance(await near.receive(), h11.EndOfMessage):
                        raise Malformed("CONNECT has no body")
                    await near.send(h11.Response(status_code=200, headers=[], reason=b"Connected"))
                    await watched(_tunnel(near, far), self._callers.outlived(token))
                else:
                    await watched(_forward(near, far, request, path), self._callers.outlived(token))
            finally:
                far.abort()
        finally:
            self._under_way[caller.run_id] -= 1
            self._under_way += Counter()

    async def _admitted(self, caller: Caller, host: str, port: int) -> list[Address]:
        """The addresses of a host that may be connected to; `Forbidden`, with a row, when there are none."""
        network = caller.network
        is_listed = network.allows(host, port)
        written = address_of(host)
        is_local = written is not None and not _is_of_the_internet(written)
        # A person is not offered a local address as one more entry of the list.
        if not is_listed and network.mode == "deny" and not is_local:
            who, key = LISTS[caller.kind]
            why = f"add it to {key} of the definition: egg egress {caller.pipeline_id}"
            raise await self._refusal(caller, host, port, LISTED, f"is not allowed to this {who}; {why}")
        found = await addresses.resolved(host, port)
        good = [each for each in found if _is_of_the_internet(each) or network.names(each, port)]
        if not good:
            why = (
                f"stands for {found[0]}, not of the internet: only an entry of that very address leads there"
            )
            raise await self._refusal(caller, host, port, str(found[0]), why)
        passage = Passage.ALLOWED if is_listed or network.mode == "open" else Passage.OBSERVED
        await self._callers.note(caller, host, port, passage)
        return good

    async def _refusal(self, caller: Caller, host: str, port: int, why: str, sentence: str) -> Forbidden:
        await self._callers.note(caller, host, port, Passage.REFUSED, why)
        await asyncio.sleep(HELD_SECONDS)
        return Forbidden(f"{host}:{port} {sentence}")


def _is_of_the_internet(address: Address) -> bool:
    """Whether it is neither private nor, however public, of this machine or a network that it is in."""
    if not addresses.is_public(address) or addresses.is_this_machines(address):
        return False
    return not any(address in network for network in own_networks())


async def _tunnel(near: Peer, far: Peer) -> None:
    """Pass bytes both ways until both have ended, or one has failed."""
    far.writer.write(near.http.trailing_data[0])
    await asyncio.gather(_passed(near.reader, far.writer), _passed(far.reader, near.writer))


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


async def _forward(near: Peer, far: Peer, request: h11.Request, path: str) -> None:
    authority = urlsplit(request.target).netloc
    headers = [(name, value) for name, value in onwards(request.headers) if name != b"host"]
    asked = h11.Request(
        method=request.method, target=path.encode("latin-1"), headers=[(b"Host", authority), *headers]
    )
    try:
        await exchange(near, far, asked)
    except UnansweredError as error:
        raise Unavailable("the host went away before it answered") from error


def _token(request: h11.Request) -> str:
    """The token that came as a proxy's password, as in http://egg:TOKEN@…"""
    given = dict(request.headers).get(CREDENTIAL, b"")
    scheme, _, word = given.partition(b" ")
    try:
        said = base64.b64decode(word, validate=True) if scheme.lower() == b"basic" else b""
    except binascii.Error:
        said = b""
    token = said.partition(b":")[2].decode("latin-1")
    if not token:
        raise Unauthenticated(
            "going out needs the token of an agent run as the proxy's password: http://egg:TOKEN@…"
        )
    return presentable(token)


def _target(request: h11.Request, *, is_tunnel: bool) -> tuple[str, int, str]:
    """The host, in small letters, the port, and the path behind them."""
    text = request.target.decode("latin-1")
    try:
        parts = urlsplit(f"//{text}" if is_tunnel else text)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not is_tunnel and parts.scheme != "http":
        raise Malformed("only http:// is passed on so; other programs are reached by CONNECT host:port")
    port = port if is_tunnel else port or 80
    is_host = len(host) <= MAX_HOST and (HOST.fullmatch(host) or address_of(host) is not None)
    is_more = "@" in parts.netloc or (is_tunnel and text != parts.netloc)
    if not is_host or not port or is_more:
        raise Malformed("this names no host: CONNECT host:port, or a target such as http://host/path")
    return host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
