"""A gateway in this process, on its socket and its port, before the API of a scene."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from egg_tasks.config import Settings, surroundings
from egg_tasks.gateway import doors
from egg_tasks.gateway.server import Gateway
from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from egg_tasks.runners import relay

RELAY = relay.__file__


@dataclass(frozen=True)
class Way:
    """A gateway's doors."""

    home: Path
    port: int

    def connect(self) -> socket.socket:
        """A connection to its socket."""
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(20)
        found.connect(str(gateway_of(self.home) / GATEWAY_SOCKET))
        return found

    def ask(
        self, method: str, path: str, token: str | None, body: object = None, *, port: int | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Ask the API by the gateway's port, or by another: status and envelope."""
        connection = HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/api/v1{path}", body=content, headers=headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        is_json = "json" in (response.getheader("Content-Type") or "")
        return response.status, json.loads(text) if is_json else {}


def free_port() -> int:
    """A port of loopback nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


@contextmanager
def gateway(home: Path, *, api_port: int, port: int = 0) -> Iterator[Way]:
    """Run a gateway of the environment's settings before the API at *api_port* until the context ends."""
    port = port or free_port()
    url = f"http://127.0.0.1:{api_port}"
    environ = {**surroundings(), "EGG_HOME": str(home), "EGG_ORCHESTRATOR_URL": url}
    known = Settings.from_environment(environ)
    is_up, ends = threading.Event(), []

    async def serve() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(over.set))
        await Gateway(known).serve(port, over, is_up.set)

    with doors.owned(home):
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            assert is_up.wait(10), "the gateway does not start"
            yield Way(home, port)
        finally:
            ends[0]()
            thread.join(10)


@contextmanager
def relayed(path: Path, *before: str) -> Iterator[int]:
    """Run a relay to a socket; its port."""
    port = free_port()
    command = [*before, sys.executable, "-I", RELAY, str(port), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield port
        finally:
            process.kill()
