"""The HTTP client of agents and the CLI: the standard library, a token, and patience. Stands alone.

Agents call it thousands of times, so nothing heavy is imported, and a restarted server is not their
problem: what may be repeated is repeated until *patience* seconds have passed.
"""

import contextlib
import json
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from models.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)

type_of_status: Mapping[int, type[Rejected]] = {
    kind.status: kind
    for kind in (Malformed, Unauthenticated, Forbidden, NotFound, Conflict, TooLarge, Unprocessable)
}

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 3.0

Json = dict[str, Any]
"""A JSON object, as the server sent it."""


class _AwayError(Exception):
    """One try found the server away: why, whether it can have acted, when it wants to be asked again."""

    def __init__(self, reason: str, *, unsent: bool = False, pause: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unsent = unsent
        self.pause = pause


class Client:
    """One server, one credential."""

    def __init__(self, url: str, token: str | None, *, patience: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Malformed(f"EGG_ORCHESTRATOR_URL must look like http://host:port, not {url!r}")
        self.url = url.rstrip("/")
        self.patience = patience
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host = parts.hostname
        self._port = parts.port
        self._base = parts.path.rstrip("/") + "/api/v1"
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Json:
        """Read *path*; a `wait` in the query lengthens the time the answer may take."""
        return self.request("GET", path, query=query, repeatable=True)

    def post(self, path: str, body: Mapping[str, object] | None = None, *, repeatable: bool = False) -> Json:
        """Write to *path*; repeated only if nothing was sent, or it carries a client_key, or *repeatable*."""
        return self.request(
            "POST", path, body=body or {}, repeatable=repeatable or "client_key" in (body or {})
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        repeatable: bool = False,
    ) -> Json:
        """Ask until there is an answer; the `data` of its envelope.

        A refusal is the error of `models.errors` that has its status, with the server's sentence and
        details. `Unavailable` when the server stayed away for *patience* seconds, or when it went away
        during a request that must not be repeated.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._base + quote(path) + (f"?{urlencode(given)}" if given else "")
        seconds = READ_SECONDS + float(str(given.get("wait", 0)))
        deadline = time.monotonic() + self.patience
        tries = 0
        while True:
            try:
                return self._try(method, target, body, seconds)
            except _AwayError as away:
                left = deadline - time.monotonic()
                if left <= 0 or not (repeatable or away.unsent):
                    raise Unavailable(away.reason) from away
                time.sleep(min(left, away.pause if away.pause is not None else _pause(tries)))
                tries += 1

    def _try(self, method: str, target: str, body: Mapping[str, object] | None, seconds: float) -> Json:
        """Ask once, on a connection of its own."""
        connection = self._kind(self._host, self._port, timeout=CONNECT_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.connect()
            except OSError as error:
                raise _AwayError(self._absent(error), unsent=True) from error
            connection.sock.settimeout(seconds)
            content = None if body is None else json.dumps(body).encode()
            headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
            try:
                connection.request(method, target, body=content, headers=headers)
                response = connection.getresponse()
                text = response.read()
            except (OSError, HTTPException) as error:
                raise _AwayError(self._absent(error)) from error
        return self._understand(response, text)

    def _understand(self, response: HTTPResponse, text: bytes) -> Json:
        """The data of an answer, or the error it is."""
        try:
            envelope = json.loads(text)
            message, details = str(envelope["message"]), envelope.get("details") or {}
        except (ValueError, TypeError, KeyError) as error:
            if response.status in {502, 503, 504}:
                raise _AwayError(f"the server at {self.url} is not ready (HTTP {response.status})") from error
            raise Unavailable(
                f"{self.url} answered, but not as an egg server (HTTP {response.status})"
            ) from error
        if response.status in {429, 503}:
            raise _AwayError(message, pause=_seconds(response.getheader("Retry-After")))
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"the server at {self.url} failed: {message}")
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise type_of_status.get(response.status, Rejected)(message, details)
        found = envelope.get("data")
        return found if isinstance(found, dict) else {}

    def _absent(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return (
            f"no egg server answers at {self.url} ({reason}): start one with `egg up`, look with `egg doctor`"
        )


def _pause(tries: int) -> float:
    """How long to wait after so many tries; differs by process, so that not all return at once."""
    return float(min(LONGEST_PAUSE_SECONDS, 0.1 * 2**tries) * (0.75 + os.getpid() % 100 / 200))


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not used here."""
    return float(header) if header and header.isdecimal() else None
