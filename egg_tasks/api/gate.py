"""The gate: what a request's head says is looked at before anything of its body is read."""

import asyncio
import hmac
import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egg_tasks import proof
from egg_tasks.api.envelope import refused
from egg_tasks.api.rate_limit import NOBODY, Rates
from egg_tasks.api.turns import Shares
from egg_tasks.config import Settings, settings
from egg_tasks.protocol import PREFIX
from egg_tasks.services.credentials import UNKNOWN
from egg_tasks.tokens import Tokens
from models.errors import EggError, Malformed, TooLarge, TooMany, Unauthenticated, Unavailable
from models.schemas.credential import CallingAgent, Operator

MAX_HEAD = 16 * 1024
MAX_QUERY = 8 * 1024
MAX_PATH = 2 * 1024
OPEN = frozenset({f"{PREFIX}/health", f"{PREFIX}/ready", f"{PREFIX}{proof.PATH}"})
"""For anybody: whoever looks after the server asks these, and whoever does not trust it yet."""
METRICS = "/metrics"
DESCRIPTION = f"{PREFIX}/openapi.json"
HELD_SECONDS = 0.1
"""A refusal for too many requests comes so late: who asks again at once asks that much less often."""


class Admission:
    """Says who asks, and refuses at once whoever may not, or asks in a way that nobody should."""

    def __init__(self, app: ASGIApp, *, tokens: Tokens, rates: Rates, shares: Shares) -> None:
        self.app = app
        self._tokens = tokens
        self._rates = rates
        self._shares = shares

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with `who` and `share` in its state; neither where all may enter."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            _check_head(scope)
            _check_host(scope, settings())
            if _is_open(scope["path"]):
                await self.app(scope, receive, send)
                return
            who = await self._who(scope)
            if state.get("is_extra") and not isinstance(who, Operator):
                raise Unavailable("the server has as many connections as it can serve: try again in a moment")
            key = who.run_id if isinstance(who, CallingAgent) else who
            with self._shares.taken(key, is_bounded=not isinstance(who, Operator)) as share:
                state |= {"who": who, "share": share}
                if isinstance(who, CallingAgent):
                    await self._counted(scope, receive, send, who)
                else:
                    await self.app(scope, receive, send)
        except EggError as error:
            await refused(error)(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, who: CallingAgent) -> None:
        """Pass a request on, and charge its agent for what it brings and is told."""
        size = 0

        async def receiving() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        finally:
            self._rates.charge(who.run_id, size, rate=settings().rate_limit)

    async def _who(self, scope: Scope) -> Operator | CallingAgent | None:
        """The operator or an agent run, which may be over; None for whoever reads the description."""
        rate = settings().rate_limit
        try:
            token = _token(scope)
            if token is None and scope["path"] == DESCRIPTION:
                self._rates.spend(NOBODY, rate=rate)
                return None
            if token is None:
                raise Unauthenticated("this needs a credential: Authorization: Bearer TOKEN")
            key = proof.key_of(token)
            if _is_operators(key):
                return Operator()
            known = await self._tokens.find(proof.name_of(key))
            who = known.agent if known else None
            self._rates.spend(who.run_id if who else NOBODY, rate=rate)
        except TooMany:
            await asyncio.sleep(HELD_SECONDS)
            raise
        if who is None:
            raise Unauthenticated(UNKNOWN)
        return who


def _is_open(path: str) -> bool:
    """Whether anybody may ask: what is said of the server, and what is not there outside the API."""
    return path in OPEN or not (f"{PREFIX}/" in path or path.endswith(METRICS))


def _check_head(scope: Scope) -> None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(scope["query_string"]) > MAX_QUERY or len(scope["raw_path"]) > MAX_PATH:
        raise TooLarge(f"a URL has a path of at most {MAX_PATH} bytes and a query of at most {MAX_QUERY}")
    if sum(len(name) + len(value) + 4 for name, value in headers) > MAX_HEAD:
        raise TooLarge(f"the headers of a request are at most {MAX_HEAD} bytes")


def _check_host(scope: Scope, known: Settings) -> None:
    """Refuse a name that is not ours: with one of their own, strangers' pages would reach us in a browser."""
    given = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    own = scope["server"][0] if scope.get("server") else None
    if not _is_ours(given, own, known.api_url, known.api_hosts):
        raise Malformed(
            f"this server is not known as {given[:100]!r}: ask by the name in EGG_ORCHESTRATOR_URL, or name"
            " it in the server's EGG_API_HOSTS"
        )


@lru_cache(maxsize=100)
def _is_ours(given: str, own: str | None, api_url: str, names: frozenset[str]) -> bool:
    """Whether a `Host` names us; most requests have the same."""
    try:
        host = (urlsplit(f"//{given}").hostname or "").rstrip(".")
    except ValueError:
        host = ""
    ours = {"localhost", own, (urlsplit(api_url).hostname or "").lower(), *names}
    return bool(host) and (host in ours or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token(scope: Scope) -> str | None:
    """The credential that a request brings; None without one."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = given.partition(b" ")
    return token.strip().decode("latin-1") or None if scheme.lower() == b"bearer" else None


def _is_operators(key: bytes) -> bool:
    own = settings().operator_token
    return bool(own) and hmac.compare_digest(key, _operators_key(own or ""))


@lru_cache(maxsize=1)
def _operators_key(token: str) -> bytes:
    return proof.key_of(token)
