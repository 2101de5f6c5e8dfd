"""A real HTTP server that answers what a test tells it to; for tests of those who ask."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from egg_tasks import proof
from tests.unit.true_answers import Untrue, fitting, shape, whole

TOKENS = ("operator", "secret", "agent", "a token", "kept", "x", "o")
"""Those of the tests, which the server knows."""


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    body: Any
    authorization: str | None


@dataclass
class Scripted:
    """A server's answers, in order (the last one for ever), and what it was asked."""

    answers: list[tuple[int, object, dict[str, str]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    seconds: float = 0
    """How long it thinks of each answer."""
    is_for_all: bool = False
    is_ours: bool = True
    untrue: list[str] = field(default_factory=list)
    """Answers that the real server could not have given."""

    def true(self, method: str, path: str, content: object) -> object:
        """A good answer with all that the real one has in it; one that it could not have given is noted."""
        kind = shape(method, urlsplit(path).path)
        if kind is None or not isinstance(content, dict) or not self.is_ours:
            return content
        try:
            return whole(kind, fitting(kind, content) if self.is_for_all else content)
        except Untrue as error:
            self.untrue.append(f"{method} {path}: {error}")
            return content

    def say(self, status: int, message: str, headers: dict[str, str] | None = None, **more: object) -> None:
        """Add one answer in the envelope; of a good one what is left out is added when it is given."""
        self.answers.append((status, {"success": status < 400, "message": message, **more}, headers or {}))

    def say_to_all(self, data: dict[str, Any]) -> None:
        """Answer whatever is asked: of *data* each answer holds what it has a place for."""
        self.is_for_all = True
        self.say(200, "", data=data)

    def say_as_another(self, data: dict[str, Any]) -> None:
        """Add one answer as no release of ours gives it."""
        self.is_ours = False
        self.say(200, "", data=data)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of one who hung up: what the command under test says is read on this stderr."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serving() -> Iterator[Scripted]:
    """Serve on a free port of this machine."""
    script = Scripted()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if urlsplit(self.path).path.endswith(proof.PATH):
                self.respond(*proved(self.path))
                return
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            script.asked.append(Asked(self.command, self.path, body, self.headers.get("Authorization")))
            status, content, headers = script.answers.pop(0) if script.answers[1:] else script.answers[0]
            time.sleep(script.seconds)
            if status == 0:  # hang up without an answer
                self.close_connection = True
                return
            if status < 400:
                content = script.true(self.command, self.path, content)
            self.respond(status, content, headers)

        def respond(self, status: int, content: object, headers: dict[str, str]) -> None:
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer  # noqa: N815  names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Answering) as http:
        script.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield script
        http.shutdown()
        thread.join()
    assert not script.untrue, "\n".join(script.untrue)


def proved(path: str) -> tuple[int, object, dict[str, str]]:
    """Answer as a server does that knows TOKENS and is asked to prove it."""
    asked = parse_qs(urlsplit(path).query)
    keys = {proof.name_of(key): key for key in map(proof.key_of, TOKENS)}
    key = keys.get(asked["credential"][0])
    if key is None:
        return 401, {"success": False, "message": "unknown"}, {}
    return 200, {"success": True, "data": {"proof": proof.made(key, asked["nonce"][0])}}, {}
