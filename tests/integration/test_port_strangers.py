"""Somebody else listens where the stack does when it runs: nobody's token is told to them."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from egg_tasks.async_client import AsyncClient, Wanted
from egg_tasks.client import Client
from egg_tasks.stack import lifecycle
from egg_tasks.stack.manifest import Manifest
from models.errors import Unauthenticated, Unavailable
from tests.integration.api_scene import NAME, Scene
from tests.integration.small_stack import environ, temporary_home, up

AGENTS = "the-token-of-a-living-agent"
EGG = str(Path(sys.executable).with_name("egg"))
JSON = json.dumps(
    {"success": True, "message": "", "data": {"proof": "0" * 64, "pipelines": [], "messages": []}}
)


def answer(status: str, text: str = JSON, length: int | None = None) -> bytes:
    size = len(text) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n{text}".encode()


ANSWERS = {
    "as if all were well": answer("200 OK"),
    "that the token is unknown": answer("401 Unauthorized"),
    "that it is busy": answer("503 Service Unavailable"),
    "that there is no such thing": answer("404 Not Found"),
    "without an end": answer("200 OK", "[" * 60_000, length=10**12),
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "nothing": b"",
}


@dataclass
class Stranger:
    """Who listens, and all that it was told."""

    told: bytearray = field(default_factory=bytearray)
    says: bytes = b""


@contextlib.contextmanager
def listening(port: int) -> Iterator[Stranger]:
    """Listen at *port* and answer whatever comes, on connections that are kept."""
    stranger = Stranger()

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while heard := connection.recv(65536):
                stranger.told += heard
                if not stranger.says:
                    return
                connection.sendall(stranger.says)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(door.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", port)) as door:
        thread = threading.Thread(target=accept)
        thread.start()
        yield stranger
        door.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(scope="module")
def stack(ready_cluster: Path) -> Iterator[tuple[Path, Manifest]]:
    """A stack that ran, and does not any more."""
    with temporary_home(ready_cluster) as home:
        found = up(home)
        lifecycle.down(home)
        yield home, found


def typed(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EGG, *words], env=environ(**more), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("says", ANSWERS)
def test_a_stranger_at_the_port_is_told_no_token(stack: tuple[Path, Manifest], says: str) -> None:
    home, found = stack
    agents = {"EGG_ORCHESTRATOR_URL": found.api_url, "EGG_SESSION_TOKEN": AGENTS, "EGG_PIPELINE_ID": "p"}
    with listening(found.api_port) as stranger:
        stranger.says = ANSWERS[says]
        person = typed("pipeline", "list", EGG_HOME=str(home))
        with pytest.raises((Unavailable, Unauthenticated)):
            Client(found.api_url, AGENTS, patience=0).poll("p", Wanted())
        with pytest.raises((Unavailable, Unauthenticated)):
            asyncio.run(polled(found.api_url))
        if says == "that the token is unknown":
            agent = typed("message", "poll", **agents)
            assert agent.returncode != 0

    assert person.returncode != 0
    assert found.api_url in person.stderr
    assert stranger.told.count(b"GET /api/v1/proof?") >= 3
    for token in (found.operator_token, AGENTS):
        assert token.encode() not in stranger.told
    assert b"authorization" not in stranger.told.lower()


async def polled(url: str) -> object:
    async with AsyncClient(url, AGENTS, patience=0) as client:
        return await client.poll("p", Wanted())


def test_a_server_that_knows_the_token_is_told_it_by_all(shop: Scene) -> None:
    url = f"http://127.0.0.1:{shop.port}"

    async def asked() -> object:
        async with AsyncClient(url, shop.tokens["coder"], patience=0) as client:
            return (await client.poll(NAME, Wanted()))["count"]

    assert Client(url, shop.tokens["operator"], patience=0).get("/pipelines")["pipelines"]
    assert Client(url, shop.tokens["coder"], patience=0).poll(NAME, Wanted())["count"] == 0
    assert asyncio.run(asked()) == 0
    with pytest.raises(Unauthenticated, match="nobody knows this credential"):
        Client(url, "nobody's", patience=0).get("/pipelines")
