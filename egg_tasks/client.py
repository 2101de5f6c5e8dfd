"""The HTTP client of agents and the CLI: the standard library, a token, and patience. Stands alone.

Agents call it thousands of times, so nothing heavy is imported, and a restarted server is not their
problem: what may be repeated is repeated until *patience* seconds have passed.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, urlencode

from egg_tasks import proof, protocol
from egg_tasks.proof import ProofRequest
from egg_tasks.protocol import AwayError, Json, NewMessage, Wanted
from models.errors import Unavailable
from models.masking import hiding, masked

__all__ = ["Client", "Json", "NewMessage", "Wanted"]

FOLLOW_SECONDS = 30
TOLD_AFTER_TRIES = 3
"""A restart of the server is over before that, as a rule."""
ODD = "surrogateescape"
"""Bytes of a command line that are no text are sent as they are, and refused by the server in a sentence."""


class Client:
    """One server, one credential. What it *hides* of variables, by name, is in nothing that it sends."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        patience: float = 60.0,
        once_seen: float | None = None,
        hear_version: Callable[[str | None], None] = lambda _: None,
        hides: Mapping[str, str] | None = None,
    ) -> None:
        parts = protocol.address(url)
        self.url = masked(url.rstrip("/"))
        self.patience = patience
        self.once_seen = once_seen
        """Its patience from its first answer on, where that differs: who waits refuses at the first look."""
        self.hear_away: Callable[[str], None] = lambda _: None
        """Called with why the server is away when that lasts, and with nothing when it is back."""
        self._hear_version = hear_version
        # As they stand in JSON.
        self._hides = [(json.dumps(word)[1:-1], shown) for word, shown in hiding(hides or {})]
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host = parts.hostname or ""
        self._port = parts.port
        self._base = parts.path.rstrip("/") + protocol.PREFIX
        self._headers = {"Accept": "application/json"}
        self._unproven = token if token and proof.is_due(parts) else None
        if token:
            self._headers["Authorization"] = f"Bearer {protocol.presentable(token)}"

    def send(self, pipeline: str, draft: NewMessage) -> Json:
        """Send a message once, however often that has to be tried; the message with its id."""
        sent = self.post(protocol.messages_path(pipeline), draft.fields())["message"]
        return dict(sent)

    def poll(self, pipeline: str, wanted: Wanted) -> Json:
        """Read a page of messages: `messages`, `count`, `next_since_id`, `has_more`."""
        return self.get(protocol.messages_path(pipeline), wanted.query())

    def follow(self, pipeline: str, wanted: Wanted) -> Iterator[Json]:
        """Yield each message that is wanted once and in order, for ever; `Conflict` when the run is over."""
        wanted = replace(wanted, wait=wanted.wait or FOLLOW_SECONDS)
        while True:
            page = self.poll(pipeline, wanted)
            yield from page["messages"]
            wanted = wanted.after(page)

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Json:
        """Read *path*; a `wait` in the query lengthens the time the answer may take."""
        return self.request("GET", path, query=query, repeatable=True)

    def post(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        repeatable: bool = False,
        seconds: float = protocol.READ_SECONDS,
    ) -> Json:
        """Write to *path*; repeated only if nothing was sent, or it carries a client_key, or *repeatable*.

        An answer may take *seconds*.
        """
        is_repeatable = repeatable or "client_key" in (body or {})
        return self.request("POST", path, body=body or {}, repeatable=is_repeatable, seconds=seconds)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        repeatable: bool = False,
        seconds: float = protocol.READ_SECONDS,
    ) -> Json:
        """Ask until there is an answer; the `data` of its envelope.

        A refusal is the error of `models.errors` that has its status, with the server's sentence and
        details. `Unavailable` when the server stayed away for *patience* seconds, or when it went away
        during a request that must not be repeated.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._base + quote(path, errors=ODD) + (f"?{_query(given)}" if given else "")
        seconds += float(str(given.get("wait", 0)))
        deadline = time.monotonic() + self.patience
        tries, is_told = 0, False
        while True:
            try:
                answer = self._try(method, target, body, seconds)
            except AwayError as away:
                left = deadline - time.monotonic()
                if tries == TOLD_AFTER_TRIES:
                    self.hear_away(away.reason)
                    is_told = True
                if left <= 0 or not (repeatable or away.unsent):
                    raise Unavailable(away.reason) from away
                time.sleep(min(left, away.pause if away.pause is not None else protocol.pause(tries)))
                tries += 1
            else:
                if is_told:
                    self.hear_away("")
                if self.once_seen is not None:
                    self.patience, self.once_seen = self.once_seen, None
                return answer

    def _try(self, method: str, target: str, body: Mapping[str, object] | None, seconds: float) -> Json:
        """Ask once, on a connection of its own."""
        connection = self._kind(self._host, self._port, timeout=protocol.CONNECT_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:
                raise AwayError(protocol.absent(self.url, error), unsent=True) from error
            if self._unproven:
                self._prove(connection.sock, self._unproven)
            # the proof is this connection's
            connection.auto_open = 0
            connection.sock.settimeout(seconds)
            content = None if body is None else self._written(body)
            headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
            try:
                connection.request(method, target, body=content, headers=headers)
                response = connection.getresponse()
                text = response.read()
            except (OSError, HTTPException) as error:
                raise AwayError(protocol.absent(self.url, error)) from error
        self._hear_version(response.getheader(protocol.VERSION_HEADER))
        return protocol.understand(self.url, response.status, text, response.getheader("Retry-After"))

    def _written(self, body: Mapping[str, object]) -> bytes:
        """A body as it is sent, without the values that are to be hidden."""
        text = json.dumps(body)
        for word, shown in self._hides:
            text = text.replace(word, shown)
        return text.encode()

    def _prove(self, connection: socket.socket, token: str) -> None:
        """Return when the server has proved to know the token, which only then is sent."""
        question = ProofRequest(self.url, token)
        deadline = time.monotonic() + proof.SECONDS
        try:
            connection.sendall(question.request())
            while not question.is_answered_by(connection.recv(proof.LONGEST_ANSWER)):
                connection.settimeout(max(0.001, deadline - time.monotonic()))
        except OSError as error:
            raise AwayError(protocol.absent(self.url, error), unsent=True) from error


def _query(given: Mapping[str, object]) -> str:
    return urlencode(given, doseq=True, errors=ODD)
