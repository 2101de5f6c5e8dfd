"""Many who send at the same moment, a connection and a credential each, the next only after the reply.

The requests are made beforehand and the answers hardly looked at: on two processors, who asks must not take
what those who answer need.
"""

import json
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from benchmarks.agents import Seat
from benchmarks.buses import BODY
from benchmarks.figures import Figure
from benchmarks.stack import Stack
from benchmarks.usage import descendants, spent

WRITERS = 32
SECONDS = 4.0
NAMED = f"sends through the API, {WRITERS} connections"
GROUP = "sends per second"


@dataclass
class Writer:
    """One connection, its one request, and what has come of the answer."""

    connection: socket.socket
    request: bytes
    heard: bytes = b""

    def ask(self) -> None:
        """Send once more."""
        self.heard = b""
        self.connection.sendall(self.request)

    def is_answered(self) -> bool:
        """Take what has come; whether the answer is whole."""
        self.heard += self.connection.recv(65536)
        head, end, content = self.heard.partition(b"\r\n\r\n")
        if not end:
            return False
        assert head.startswith(b"HTTP/1.1 201"), self.heard  # noqa: S101
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return len(content) >= int(length)


@dataclass(frozen=True)
class Sent:
    """How many sends were made, how many a second, and what making them took, in ms of processor each."""

    count: int
    rate: float
    own: float


def measure(stack: Stack, memory_url: str, raw: float, seats: Sequence[Seat]) -> list[Figure]:
    """Send through the API and through a list in memory behind the same door.

    *raw* is how many rows a second eight connections insert by themselves.
    """
    send(stack.manifest.api_url, seats, seconds=1.0)
    api, postgres = stack.pid("api"), stack.pid("postgres")
    assert api is not None, "its API has just answered"  # noqa: S101
    assert postgres is not None, "it has just kept what was sent"  # noqa: S101
    groups = {"API": [api], "PostgreSQL": descendants(postgres)}
    before = {name: sum(map(spent, pids)) for name, pids in groups.items()}
    ours = send(stack.manifest.api_url, seats, seconds=SECONDS)
    each = {name: 1000 * (sum(map(spent, pids)) - before[name]) / ours.count for name, pids in groups.items()}
    memory = send(memory_url, seats, seconds=SECONDS)
    return [
        Figure(GROUP, NAMED, ours.rate, "/s", "raw INSERT, 8 writers", raw),
        Figure(GROUP, NAMED, ours.rate, "/s", "list in memory, HTTP", memory.rate),
        *(
            Figure(GROUP, f"{NAMED}: a send's processor, {name}", took, "ms")
            for name, took in {**each, "who sends": ours.own}.items()
        ),
    ]


def send(url: str, seats: Sequence[Seat], *, seconds: float) -> Sent:
    """Have each seat send again and again for a while."""
    where = urlsplit(url)
    writers = [Writer(_connected(where), _request(where, seat)) for seat in seats[:WRITERS]]
    count = 0
    with selectors.DefaultSelector() as selector:
        for writer in writers:
            selector.register(writer.connection, selectors.EVENT_READ, writer)
        began, own = time.perf_counter(), time.process_time()
        for writer in writers:
            writer.ask()
        asking = len(writers)
        while asking:
            for key, _ in selector.select():
                if not key.data.is_answered():
                    continue
                count += 1
                if time.perf_counter() - began < seconds:
                    key.data.ask()
                else:
                    asking -= 1
        took, own = time.perf_counter() - began, time.process_time() - own
    for writer in writers:
        writer.connection.close()
    return Sent(count, count / took, 1000 * own / count)


def _connected(where: SplitResult) -> socket.socket:
    assert where.hostname is not None, "a stack's URL has one"  # noqa: S101
    assert where.port is not None, "a stack's URL has one"  # noqa: S101
    connection = socket.create_connection((where.hostname, where.port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _request(where: SplitResult, seat: Seat) -> bytes:
    body = {"message_type": "PROGRESS", "to_role": "all", "subject": "news", "body": BODY}
    content = json.dumps(body).encode()
    head = (
        f"POST /api/v1/pipelines/{seat.pipeline_id}/messages HTTP/1.1\r\nHost: {where.netloc}\r\n"
        f"Authorization: Bearer {seat.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
