"""The gateway's way to models: an agent's token is its key there, and becomes the machine's own."""

import asyncio
import re
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from uuid import UUID

import h11
import structlog

from egg_tasks import secret_files, settings_file
from egg_tasks.clock import utcnow
from egg_tasks.gateway.addresses import CONNECT_SECONDS
from egg_tasks.gateway.callers import Callers, watched
from egg_tasks.gateway.guests import Guest
from egg_tasks.gateway.ledger import Ledger
from egg_tasks.gateway.peers import Peer, UnansweredError, exchange, onwards
from egg_tasks.gateway.usage_meter import Meter
from egg_tasks.model_providers import Provider, WireFormat, is_plain_path
from egg_tasks.protocol import presentable
from egg_tasks.services.agents.model_requests import Permit
from models.errors import EggError, Forbidden, Malformed, NotFound, TooMany, Unauthenticated, Unavailable

PREFIX = "/model/"
FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"expect"})
"""How a body is to be read."""
PASSED_ON = FRAMING | {
    b"content-type",
    b"accept",
    b"user-agent",
    b"anthropic-version",
    b"anthropic-beta",
    b"openai-beta",
}
"""Nothing that says in whose name it is asked: one who names a wrong one is refused as if the key were."""
PASSED_ON_BELOW = b"x-stainless-"
"""What the providers' own clients say of themselves."""
UNFINISHED = frozenset({h11.SEND_BODY, h11.ERROR})
"""The states of a peer whose request is not whole: those after it differ by what is to follow."""
LOOKS = frozenset({b"GET", b"HEAD"})
LOOKED_AT = re.compile(r"(/v[0-9a-z]+)?/models(/[^/]+)?")
"""What an agent may look at with the machine's key: which models there are, and nothing that others left."""
UNPAID = re.compile(r".*/count_tokens")
KEY = re.compile(r"[\x21-\x7e]+")

MOST_UNDER_WAY = 32
"""Requests of a run at a time."""
WHOLE_SECONDS = 5.0
"""So long the first one after a hold has for its body; then another is let through as well."""

log = structlog.get_logger()


class ModelRoute:
    """The way of all connections to models."""

    def __init__(self, home: Path, secrets: Path, callers: Callers, ledger: Ledger) -> None:
        self._home = home
        self._secrets = secrets
        self._callers = callers
        self._ledger = ledger
        self._under_way: Counter[UUID] = Counter()
        """Requests, by run."""

    async def take(self, near: Peer, guest: Guest, request: h11.Request) -> None:
        """Pass one request on to the provider that its path names, with that one's key."""
        name, path, target = _taken_apart(request)
        token = _token(dict(request.headers))
        caller = await self._callers.find(token)
        guest.is_of(caller.run_id)
        provider = self._provider(name)
        key, key_from = self._key(provider)
        asks_model = request.method not in LOOKS and not UNPAID.fullmatch(path)
        _permit(request, provider, path)
        with self._counted(caller.run_id):
            permit = await self._ledger.begin(caller.run_id, provider, key_from, asks_model=asks_model)
            meter, began = Meter(provider.format, asks_model=asks_model), time.monotonic()

            async def hear(event: h11.Event) -> None:
                meter.hear(event)
                if isinstance(event, h11.Response):
                    waits = retry_after(dict(event.headers))
                    await self._ledger.hear(provider.credential, permit, event.status_code, waits)

            try:
                far = await self._reached(provider, permit)
                try:
                    meter.is_sent = True
                    work = exchange(near, far, _passed_on(request, provider, target, key), hear)
                    async with self._turn(near, provider.credential, permit):
                        await watched(work, self._callers.outlived(token))
                except UnansweredError as error:
                    raise Unavailable(f"the provider {name} went away before it answered") from error
                finally:
                    far.abort()
            finally:
                await self._ledger.end(permit, meter.end(milliseconds=_since(began)))

    @contextmanager
    def _counted(self, run_id: UUID) -> Iterator[None]:
        """Count a request of a run while it is under way; `TooMany` if it has as many as it may."""
        if self._under_way[run_id] >= MOST_UNDER_WAY:
            sentence = f"this run has {MOST_UNDER_WAY} requests to models under way already"
            raise TooMany(sentence, {"retry_after": 1})
        self._under_way[run_id] += 1
        try:
            yield
        finally:
            self._under_way[run_id] -= 1
            if not self._under_way[run_id]:
                del self._under_way[run_id]

    async def _reached(self, provider: Provider, permit: Permit) -> Peer:
        """A connection to a provider; who cannot have one leaves the turn after a hold to another."""
        try:
            return await reached(provider)
        except Unavailable:
            if permit.is_trial:
                await self._ledger.give_back(provider.credential, permit)
            raise

    @asynccontextmanager
    async def _turn(self, near: Peer, credential: str, permit: Permit) -> AsyncIterator[None]:
        """Give the turn after a hold to another if a request is not whole soon, or never will be."""
        if not permit.is_trial:
            yield
            return
        giving = asyncio.create_task(self._give_back_unless_whole(near, credential, permit))
        try:
            yield
        finally:
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)

    async def _give_back_unless_whole(self, near: Peer, credential: str, permit: Permit) -> None:
        try:
            await asyncio.sleep(WHOLE_SECONDS)
        finally:
            if near.http.their_state in UNFINISHED:
                await self._ledger.give_back(credential, permit)

    def _provider(self, name: str) -> Provider:
        try:
            found = settings_file.read(self._home).providers
        except EggError as error:
            log.warning("gateway.settings_faulty", error=str(error))
            raise Unavailable(
                "the settings of this machine are faulty: its person is told by egg doctor"
            ) from error
        if name not in found:
            raise NotFound(
                f"this machine knows no provider {name}: a person adds [providers.{name}] to settings.toml"
            )
        return found[name]

    def _key(self, provider: Provider) -> tuple[str, datetime]:
        """The key of a provider, and since when it is that; why there is none is not the agent's to know."""
        try:
            key = secret_files.value(self._secrets, provider.credential)
            changed = secret_files.file(self._secrets, provider.credential).stat().st_mtime
        except (EggError, OSError) as error:
            log.warning("gateway.key_missing", provider=provider.name, error=str(error))
            key, changed = "", 0.0
        if not KEY.fullmatch(key):
            raise Unavailable(
                f"the key of the provider {provider.name} is not to be had on this machine: egg doctor"
            )
        return key, datetime.fromtimestamp(changed, UTC)


def retry_after(headers: Mapping[bytes, bytes]) -> timedelta | None:
    """When a provider wants to be asked again, as it says it; None where it does not, or not so."""
    for name, unit in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        said = headers.get(name, b"").decode("latin-1").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", said):
            return timedelta(seconds=float(said) * unit)
    try:
        moment = parsedate_to_datetime(headers.get(b"retry-after", b"").decode("latin-1"))
        return max(moment - utcnow(), timedelta(0))
    except (ValueError, TypeError):
        return None


def _taken_apart(request: h11.Request) -> tuple[str, str, str]:
    """The provider's name, the path below it, and that with the query."""
    text = request.target.decode("latin-1").removeprefix(PREFIX)
    before, mark, query = text.partition("?")
    name, slash, rest = before.partition("/")
    path = slash + rest
    if not is_plain_path(path) or "#" in query:
        raise Malformed(f"a model is asked at {PREFIX}PROVIDER/PATH: of plain words, without `..` and `%`")
    return name, path, path + mark + query


def _permit(request: h11.Request, provider: Provider, path: str) -> None:
    """`Forbidden` for whatever is neither asking a model nor looking which there are."""
    if request.method in LOOKS and LOOKED_AT.fullmatch(path):
        return
    if request.method != b"POST":
        raise Forbidden(
            "of a provider an agent may ask (POST), and look which models there are (GET …/models)"
        )
    if not provider.is_asked_at(path):
        raise Forbidden(
            f"agents ask no model of {provider.name} at {path}: a person may add that to `paths` of "
            f"[providers.{provider.name}] in settings.toml"
        )


def _token(headers: Mapping[bytes, bytes]) -> str:
    """The token that came in the place of a key."""
    scheme, _, word = headers.get(b"authorization", b"").partition(b" ")
    said = headers.get(b"x-api-key") or (word if scheme.lower() == b"bearer" else b"")
    if not said.strip():
        raise Unauthenticated(
            "a model is asked with the token of an agent run as the key: $EGG_SESSION_TOKEN"
        )
    return presentable(said.strip().decode("latin-1"))


def _passed_on(request: h11.Request, provider: Provider, target: str, key: str) -> h11.Request:
    """The request as the provider gets it."""
    kept = [
        (name, value)
        for name, value in onwards(request.headers)
        if name in PASSED_ON or name.startswith(PASSED_ON_BELOW)
    ]
    word = (
        ("x-api-key", key) if provider.format is WireFormat.ANTHROPIC else ("Authorization", f"Bearer {key}")
    )
    # What is packed could not be counted.
    ours = [("Host", provider.parts.netloc), word, ("Accept-Encoding", "identity")]
    written = [(name.encode(), value.encode()) for name, value in ours]
    return h11.Request(method=request.method, target=provider.parts.path + target, headers=[*written, *kept])


async def reached(provider: Provider) -> Peer:
    """A connection of its own to a provider."""
    parts = provider.parts
    secured = tls() if parts.scheme == "https" else None
    port = parts.port or (443 if secured else 80)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return Peer(h11.CLIENT, *await asyncio.open_connection(parts.hostname, port, ssl=secured))
    except (OSError, TimeoutError) as error:
        log.warning("gateway.provider_away", provider=provider.name, error=str(error))
        raise Unavailable(f"the provider {provider.name} does not answer now: try again") from error


@cache
def tls() -> ssl.SSLContext:
    """Whom this process believes: those whom the machine believes."""
    return ssl.create_default_context()


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
