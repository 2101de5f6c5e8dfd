"""A real HTTP server that answers what a test tells it to; for tests of those who ask."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


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

    def say(self, status: int, message: str, headers: dict[str, str] | None = None, **more: object) -> None:
        """Add one answer in the envelope."""
        self.answers.append((status, {"success": status < 400, "message": message, **more}, headers or {}))


@contextlib.contextmanager
def serving() -> Iterator[Scripted]:
    """Serve on a free port of this machine."""
    script = Scripted()

    class Answering(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            script.asked.append(Asked(self.command, self.path, body, self.headers.get("Authorization")))
            status, content, headers = script.answers.pop(0) if script.answers[1:] else script.answers[0]
            if status == 0:  # hang up without an answer
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

        do_GET = do_POST = answer  # noqa: N815  names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as http:
        script.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield script
        http.shutdown()
        thread.join()
