"""What both clients send and understand. Standard library only: agents import it thousands of times."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlsplit

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
from models.masking import hidden

type_of_status: Mapping[int, type[Rejected]] = {
    kind.status: kind
    for kind in (Malformed, Unauthenticated, Forbidden, NotFound, Conflict, TooLarge, Unprocessable)
}

PREFIX = "/api/v1"
VERSION_HEADER = "Egg-Version"
"""In every answer: the version of the server."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
LOOK_SECONDS = 600.0
"""For the answer to what has git look at a clone: as long as a person may allow a look at most."""
LONGEST_PAUSE_SECONDS = 3.0

Json = dict[str, Any]
"""A JSON object, as the server sent it."""


class AwayError(Exception):
    """One try found the server away: why, whether it can have acted, when it wants to be asked again."""

    def __init__(self, reason: str, *, unsent: bool = False, pause: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unsent = unsent
        self.pause = pause


@dataclass(frozen=True)
class NewMessage:
    """A message to send; with the same `key` it is sent once, however often one tries."""

    message_type: str
    to_role: str = "all"
    subject: str = ""
    body: str = ""
    metadata: Mapping[str, object] | None = None
    in_reply_to: int | None = None
    key: str | None = None
    from_role: str | None = None

    def fields(self) -> Json:
        """The body of the request."""
        found = {
            "to_role": self.to_role,
            "message_type": self.message_type,
            "subject": self.subject,
            "body": self.body,
            "metadata": self.metadata,
            "in_reply_to": self.in_reply_to,
            "client_key": self.key or new_key(),
            "from_role": self.from_role,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Wanted:
    """Which messages to read; without `since`, what the role has not received yet."""

    since: int | None = None
    limit: int | None = None
    wait: float | None = None
    types: Sequence[str] = ()
    scope: str | None = None
    own: bool = False
    role: str | None = None

    def query(self) -> Json:
        """The query of one poll; tried again, it must be the same, so that a lost answer comes again."""
        return {
            "since_id": self.since,
            "limit": self.limit,
            "wait": self.wait,
            "type": list(self.types) or None,
            "scope": self.scope,
            "include_own": "true" if self.own else None,
            "role": self.role,
            "poll_key": new_key() if self.since is None else None,
        }

    def after(self, page: Json) -> "Wanted":
        """The same, from where a page ended."""
        return replace(self, since=int(page["next_since_id"]))


def address(url: str) -> SplitResult:
    """Take a server's URL apart; `Malformed` for what is none."""
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or not url.isascii() or not url.isprintable() or " " in url:
        raise Malformed(f"EGG_ORCHESTRATOR_URL must look like http://host:port, not {hidden(url, url)!r}")
    return parts


def presentable(token: str) -> str:
    """A credential as a header takes it; `Unauthenticated` for what cannot be one."""
    if token.isascii() and token.isprintable():
        return token
    raise Unauthenticated("the token holds what no token of ours does: line breaks, or bytes beyond ASCII")


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, which no proxy is asked for."""
    return host is not None and (host in {"localhost", "::1"} or host.startswith("127."))


def new_key() -> str:
    """A key nobody else has."""
    return os.urandom(16).hex()


def messages_path(pipeline: str) -> str:
    """Where a pipeline's messages are."""
    return f"/pipelines/{pipeline}/messages"


def understand(url: str, status: int, text: bytes, retry_after: str | None) -> Json:
    """The data of an answer, or the error it is; `AwayError` when it may be asked for again."""
    try:
        envelope = json.loads(text)
        message, details = str(envelope["message"]), envelope.get("details") or {}
    except (ValueError, TypeError, KeyError) as error:
        if status in {502, 503, 504}:
            raise AwayError(f"the server at {url} is not ready (HTTP {status})") from error
        raise Unavailable(f"{url} answered, but not as an egg server (HTTP {status})") from error
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        is_refused = status == HTTPStatus.TOO_MANY_REQUESTS
        raise AwayError(message, unsent=is_refused, pause=_seconds(retry_after))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"the server at {url} failed: {message}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise type_of_status.get(status, Rejected)(message, details)
    found = envelope.get("data")
    return found if isinstance(found, dict) else {}


def absent(url: str, error: Exception) -> str:
    """The sentence that nobody answers."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"no egg server answers at {url} ({reason}): start one with `egg up`, look with `egg doctor`"


def pause(tries: int) -> float:
    """How long to wait after so many tries; differs by process, so that not all return at once."""
    return float(min(LONGEST_PAUSE_SECONDS, 0.1 * 2**tries) * (0.75 + os.getpid() % 100 / 200))


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not used here."""
    return float(header) if header and header.isdecimal() else None
