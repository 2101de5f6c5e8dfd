"""The relay, alone and in a network of its own: bytes both ways, whatever becomes of the gateway."""

import asyncio
import gc
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from egg_tasks.runners import relay
from tests.integration.gateway_scene import RELAY, relayed

LOUD = 8 * 2**20
ASK = """
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
command = [sys.executable, "-I", sys.argv[1], "8700", sys.argv[2]]
with subprocess.Popen(command, stdout=subprocess.PIPE) as relay:
    relay.stdout.readline()
    with socket.create_connection(("127.0.0.1", 8700), 10) as near:
        near.sendall(b"out")
        near.shutdown(socket.SHUT_WR)
        print(near.recv(100).decode())
    try:
        socket.create_connection(("192.0.2.1", 80), 1)
    except OSError as error:
        print(error.strerror)
    relay.kill()
"""


class Shouting(socketserver.BaseRequestHandler):
    """Answers with what it heard, in capitals, when all is said."""

    def handle(self) -> None:
        """Serve one connection."""
        heard = b""
        while piece := self.request.recv(65536):
            heard += piece
        self.request.sendall(heard.upper())


class Door(socketserver.ThreadingUnixStreamServer):
    """A server at a Unix socket."""

    daemon_threads = True
    request_queue_size = 300


@contextmanager
def serving(path: Path, handler: type[socketserver.BaseRequestHandler] = Shouting) -> Iterator[None]:
    """Serve at a socket, made anew by a rename."""
    new = path.with_suffix(".new")
    with Door(str(new), handler) as server:
        new.replace(path)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield
        finally:
            server.shutdown()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Where the gateway's socket is to be."""
    return tmp_path / "gateway.sock"


def said(port: int, text: bytes) -> bytes:
    """What is answered to a text that has an end."""
    with socket.create_connection(("127.0.0.1", port), 20) as near:
        near.sendall(text)
        near.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: near.recv(65536), b""))


def test_an_end_in_one_direction_leaves_the_other_open(there: Path) -> None:
    with serving(there), relayed(there) as port:
        assert said(port, b"all of it" * 100_000) == b"ALL OF IT" * 100_000


def test_many_are_passed_on_at_once(there: Path) -> None:
    with serving(there), relayed(there) as port:
        near = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(200)]
        for number, each in enumerate(near):
            each.sendall(f"number {number}".encode())
        for each in near:
            each.shutdown(socket.SHUT_WR)
        answers = []
        for each in near:
            answers.append(each.recv(100))
            each.close()

    assert answers == [f"NUMBER {number}".encode() for number in range(200)]


def test_who_has_said_all_gets_the_answer_when_the_relay_has_cleared_away_its_garbage(there: Path) -> None:
    asked, is_cleared = threading.Event(), threading.Event()

    class Thinking(Shouting):
        def handle(self) -> None:
            asked.set()
            assert is_cleared.wait(20)
            super().handle()

    def collect() -> None:
        # The relay's own loop runs in this process here, so that its garbage can be cleared away.
        assert asked.wait(20)
        for _ in range(5):
            time.sleep(0.05)
            gc.collect()
        is_cleared.set()

    door = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    with serving(there, Thinking):
        running = threading.Thread(target=run_until_cancelled, args=(loop, door, str(there)))
        running.start()
        threading.Thread(target=collect).start()
        answer = said(door.getsockname()[1], b"all")
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        running.join()

    assert answer == b"ALL"


def run_until_cancelled(loop: asyncio.AbstractEventLoop, door: socket.socket, path: str) -> None:
    """Run a relay in this thread."""
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(relay.main(door, path))
    loop.close()


def test_who_reads_slowly_holds_up_who_writes(there: Path) -> None:
    class Loud(socketserver.BaseRequestHandler):
        sent = 0

        def handle(self) -> None:
            for _ in range(LOUD // 65536):
                self.request.sendall(bytes(65536))
                Loud.sent += 65536

    with (
        serving(there, Loud),
        relayed(there) as port,
        socket.create_connection(("127.0.0.1", port), 20) as near,
    ):
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        before = -1
        while before != Loud.sent:
            before = Loud.sent
            time.sleep(0.3)
        held_at = Loud.sent
        heard = sum(map(len, iter(lambda: near.recv(65536), b"")))

    assert 0 < held_at < LOUD
    assert heard == LOUD


def test_it_waits_for_a_gateway_that_is_not_there_yet(there: Path) -> None:
    with relayed(there) as port, socket.create_connection(("127.0.0.1", port), 20) as near:
        near.sendall(b"early")
        near.shutdown(socket.SHUT_WR)
        with serving(there):
            assert near.recv(100) == b"EARLY"


def test_it_waits_for_a_gateway_that_has_as_many_waiting_as_it_takes(there: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door, socket.socket(socket.AF_UNIX) as other:
        door.bind(str(there))
        door.listen(0)
        other.connect(str(there))
        with relayed(there) as port, socket.create_connection(("127.0.0.1", port), 20) as near:
            near.sendall(b"early")
            near.shutdown(socket.SHUT_WR)
            near.settimeout(0.5)
            with pytest.raises(TimeoutError):
                near.recv(100)
            near.settimeout(20)
            door.accept()[0].close()
            far = door.accept()[0]
            heard = far.recv(100)
            far.sendall(heard.upper())
            far.close()
            answer = near.recv(100)

    assert answer == b"EARLY"


def test_it_finds_a_gateway_that_was_started_anew(there: Path) -> None:
    with relayed(there) as port:
        with serving(there):
            assert said(port, b"one") == b"ONE"
        with serving(there):
            assert said(port, b"two") == b"TWO"


def test_a_connection_that_the_gateway_breaks_off_is_broken_off(there: Path) -> None:
    class Dying(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1)
            # As the kernel does for who is killed: no end is said, and what was not read is lost.
            os.close(self.request.detach())

    with serving(there, Dying), relayed(there) as port:
        with socket.create_connection(("127.0.0.1", port), 20) as near:
            near.sendall(b"x" * 100_000)
            with pytest.raises(OSError, match="reset"):
                near.recv(100)
        with serving(there):
            assert said(port, b"the next") == b"THE NEXT"


def test_it_leads_out_of_a_network_that_has_no_other_way(there: Path) -> None:
    alone = ["unshare", "-n", "true"]
    if subprocess.run(alone, check=False, capture_output=True).returncode:
        pytest.skip("this user may not make a network of its own (unshare -n)")
    with serving(there):
        found = subprocess.run(
            ["unshare", "-n", sys.executable, "-c", ASK, RELAY, str(there)],
            check=True,
            capture_output=True,
            text=True,
        )

    assert found.stdout.splitlines() == ["OUT", "Network is unreachable"]


def test_it_imports_the_standard_library_alone() -> None:
    look = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*sys.modules)"

    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", look, RELAY], check=True, capture_output=True, text=True
    ).stdout.split()

    strange = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
    assert strange <= {"__main__", "__mp_main__"}
