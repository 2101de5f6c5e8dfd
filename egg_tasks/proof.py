"""A server's proof that it knows a token, asked for before the token is sent. Standard library only.

Whoever listens at the server's port while the server does not would be told the tokens of all who ask. So the
client begins each connection with a number nobody has used, and the hash of the hash of its token; the server
keeps the hash of each token, and answers with what only that hash makes of the number.
"""

import hashlib
import hmac
import json
import os
from http import HTTPStatus
from urllib.parse import SplitResult

from egg_tasks import protocol
from egg_tasks.protocol import AwayError
from models.errors import Unauthenticated

PATH = "/proof"
SECONDS = 5.0
LONGEST_ANSWER = 64 * 1024


def key_of(token: str) -> bytes:
    """What is stored of a token, and what its server proves to know."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def name_of(key: bytes) -> str:
    """By which a key is asked for: it tells nothing of it."""
    return hashlib.sha256(key).hexdigest()


def made(key: bytes, nonce: str) -> str:
    """The proof that one knows *key*."""
    return hmac.new(key, b"egg server " + nonce.encode(), hashlib.sha256).hexdigest()


def is_due(parts: SplitResult) -> bool:
    """Whether a server is to prove itself: over TLS its certificate does, and far away the user named it."""
    return parts.scheme == "http" and protocol.is_loopback(parts.hostname)


class ProofRequest:
    """One request for a proof, to be sent as it is on a connection of which the answer is read in pieces."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._key = key_of(token)
        self._nonce = os.urandom(16).hex()
        self._heard = b""

    def request(self) -> bytes:
        """The request."""
        parts = protocol.address(self._url)
        path = f"{parts.path.rstrip('/')}{protocol.PREFIX}{PATH}"
        query = f"credential={name_of(self._key)}&nonce={self._nonce}"
        host = parts.netloc.rpartition("@")[2]
        return f"GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n".encode()

    def is_answered_by(self, piece: bytes) -> bool:
        """Take one more piece of the answer, empty at its end; whether it is whole, and right.

        `AwayError` when it never will be; `Unauthenticated` when the token is not known there.
        """
        self._heard += piece
        head, end, content = self._heard.partition(b"\r\n\r\n")
        if not piece or len(self._heard) > LONGEST_ANSWER:
            raise self._stranger()
        if not end:
            return False
        status, length = _understood(head)
        if len(content) < length:
            return False
        if status == HTTPStatus.UNAUTHORIZED:
            raise Unauthenticated(
                f"nobody knows this credential at {self._url}: check EGG_SESSION_TOKEN or EGG_OPERATOR_TOKEN"
            )
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            raise AwayError(f"the server at {self._url} is not ready (HTTP {status})", unsent=True)
        if status != HTTPStatus.OK or not hmac.compare_digest(_said(content), made(self._key, self._nonce)):
            raise self._stranger()
        return True

    def _stranger(self) -> AwayError:
        """What answers does not know the token: another program, or an egg that does not prove it yet."""
        return AwayError(
            f"somebody else answers at {self._url}, or an egg of 0.1.0: it was not told the token, which it "
            "did not prove to know; `egg up` starts your stack, `egg doctor` says who listens there",
            unsent=True,
        )


def _understood(head: bytes) -> tuple[int, int]:
    """The status of an answer and its length; 0 for what is none."""
    first, *lines = head.split(b"\r\n")
    fields = dict(line.lower().split(b":", 1) for line in lines if b":" in line)
    status, length = first[9:12], fields.get(b"content-length", b"").strip()
    is_sound = first.startswith(b"HTTP/1.1 ") and status.isdigit() and length.isdigit()
    return (int(status), min(int(length[:9]), LONGEST_ANSWER)) if is_sound else (0, 0)


def _said(content: bytes) -> str:
    """The proof in an answer; empty if there is none."""
    try:
        found = json.loads(content)["data"]["proof"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and found.isascii() else ""
