"""The HTTP client for programs that are asynchronous: httpx, kept connections, and the same patience."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import httpx

from egg_tasks import proof, protocol
from egg_tasks.client import FOLLOW_SECONDS
from egg_tasks.proof import ProofRequest
from egg_tasks.protocol import AwayError, Json, NewMessage, Wanted
from models.errors import Unavailable
from models.masking import masked

__all__ = ["AsyncClient", "Json", "NewMessage", "Wanted"]


class AsyncClient:
    """One server, one credential. Use it as a context: it keeps connections open."""

    def __init__(self, url: str, token: str, *, patience: float = 60.0) -> None:
        parts = protocol.address(url)
        self.url = masked(url.rstrip("/"))
        self.patience = patience
        self._extensions = {"trace": partial(_prove, self.url, token)} if proof.is_due(parts) else {}
        self._http = httpx.AsyncClient(
            base_url=self.url + protocol.PREFIX,
            headers={"Accept": "application/json", "Authorization": f"Bearer {protocol.presentable(token)}"},
            # Proxies of the environment are for what is far away.
            trust_env=not protocol.is_loopback(parts.hostname),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def send(self, pipeline: str, draft: NewMessage) -> Json:
        """Send a message once, however often that has to be tried; the message with its id."""
        answer = await self._ask("POST", pipeline, body=draft.fields())
        return dict(answer["message"])

    async def poll(self, pipeline: str, wanted: Wanted) -> Json:
        """Read a page of messages: `messages`, `count`, `next_since_id`, `has_more`."""
        return await self._ask("GET", pipeline, query=wanted.query())

    async def follow(self, pipeline: str, wanted: Wanted) -> AsyncIterator[Json]:
        """Yield each message that is wanted once and in order, for ever; `Conflict` when the run is over."""
        wanted = replace(wanted, wait=wanted.wait or FOLLOW_SECONDS)
        while True:
            page = await self.poll(pipeline, wanted)
            for message in page["messages"]:
                yield message
            wanted = wanted.after(page)

    async def _ask(
        self,
        method: str,
        pipeline: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Json:
        """Ask until there is an answer, or `Unavailable` after *patience* seconds; both may be repeated."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        seconds = protocol.READ_SECONDS + float(str(given.get("wait", 0)))
        request = self._http.build_request(
            method,
            protocol.messages_path(pipeline),
            params=httpx.QueryParams(urlencode(given, doseq=True, errors="surrogateescape")),
            content=None if body is None else json.dumps(body).encode(),
            headers=None if body is None else {"Content-Type": "application/json"},
            timeout=httpx.Timeout(seconds, connect=protocol.CONNECT_SECONDS),
            extensions=self._extensions,
        )
        deadline, tries = time.monotonic() + self.patience, 0
        while True:
            try:
                return await self._try(request)
            except AwayError as away:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Unavailable(away.reason) from away
                await asyncio.sleep(
                    min(left, away.pause if away.pause is not None else protocol.pause(tries))
                )
                tries += 1

    async def _try(self, request: httpx.Request) -> Json:
        try:
            answer = await self._http.send(request)
        except httpx.TransportError as error:
            raise AwayError(protocol.absent(self.url, error)) from error
        return protocol.understand(
            self.url, answer.status_code, answer.content, answer.headers.get("Retry-After")
        )


class _Stream(Protocol):
    """A connection, as httpx tells of it when it is made."""

    async def write(self, buffer: bytes) -> None: ...
    async def read(self, max_bytes: int) -> bytes: ...
    async def aclose(self) -> None: ...


async def _prove(url: str, token: str, happened: str, what: Mapping[str, Any]) -> None:
    """Have each new connection's server prove to know the token, before anything else is sent on it."""
    if happened != "connection.connect_tcp.complete":
        return
    connection: _Stream = what["return_value"]
    question = ProofRequest(url, token)
    try:
        async with asyncio.timeout(proof.SECONDS):
            await connection.write(question.request())
            while not question.is_answered_by(await connection.read(proof.LONGEST_ANSWER)):
                pass
    except BaseException as error:
        await connection.aclose()
        if isinstance(error, TimeoutError):
            raise AwayError(protocol.absent(url, error), unsent=True) from error
        raise
