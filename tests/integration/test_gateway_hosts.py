"""The gateway's way to hosts: the list of the run that asks, addresses that are judged, rows of it all."""

import base64
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from egg_tasks.gateway import callers, proxy_route
from tests.integration.api_rows import finish
from tests.integration.api_scene import NAME, OPERATOR, Scene
from tests.integration.gateway_scene import Way, gateway


class Host(http.server.BaseHTTPRequestHandler):
    """A host that tells what it was asked."""

    def do_GET(self) -> None:
        """Answer."""
        text = "\n".join([self.path, *(f"{name}: {value}" for name, value in self.headers.items())]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def host() -> Iterator[int]:
    """The port of a host on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def town(scene: Scene, **network: object) -> Iterator[Way]:
    """A pipeline whose agents may reach this, and a gateway."""
    program = {"backend": "command", "command": ["true"]}
    agents = {"coder": {**program, "isolation": {"network": network}}, "tester": program}
    scene.start(agents=agents)
    with gateway(scene.home, api_port=scene.port) as way:
        yield way


def credential(token: str) -> str:
    """The header in which a proxy is told a token."""
    return f"Proxy-Authorization: Basic {base64.b64encode(f'egg:{token}'.encode()).decode()}"


def opened(way: Way, target: str, token: str | None) -> tuple[socket.socket, str]:
    """Ask for a tunnel: the connection, and the first line of the answer."""
    connection = way.connect()
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *([credential(token)] if token else [])]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return connection, connection.recv(65536).partition(b"\r\n")[0].decode()


def asked(way: Way, target: str, token: str | None) -> str:
    """What is answered to whoever wants a tunnel."""
    connection, said = opened(way, target, token)
    connection.close()
    return said.removeprefix("HTTP/1.1 ")


def rows(scene: Scene) -> list[tuple[str, int, str, str, str, int]]:
    """What was noted."""
    found = scene.ask("GET", f"/pipelines/{NAME}/egress").data["egress"]
    keys = ("host", "port", "passage", "why", "role", "number")
    return sorted(tuple(one[key] for key in keys) for one in found)


def test_what_is_on_the_list_is_reached_and_the_rest_is_not_and_both_are_noted(
    scene: Scene, host: int
) -> None:
    with town(scene, allow=[f"127.0.0.1:{host}", "python-packages", "*.example.org"]) as way:
        token = scene.tokens["coder"]
        near, said = opened(way, f"127.0.0.1:{host}", token)
        near.sendall(b"GET /through HTTP/1.0\r\n\r\n")
        near.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: near.recv(65536), b""))
        near.close()
        asked(way, "169.254.169.254:80", token)
        refused = [asked(way, f"evil.invalid:{port}", token) for port in (443, 443, 22)]

    assert said == "HTTP/1.1 200 Connected"
    assert b"/through" in heard
    way_out = f"add it to `isolation.network.allow` of the definition: egg egress {NAME}"
    assert refused[0] == f"403 evil.invalid:443 is not allowed to this agent; {way_out}"
    assert rows(scene) == [
        ("127.0.0.1", host, "allowed", "", "coder", 1),
        ("169.254.169.254", 80, "refused", "169.254.169.254", "coder", 1),
        ("evil.invalid", 22, "refused", "list", "coder", 1),
        ("evil.invalid", 443, "refused", "list", "coder", 2),
    ]


def test_an_absolute_target_is_fetched_and_the_token_stays_here(scene: Scene, host: int) -> None:
    with town(scene, allow=[f"127.0.0.1:{host}"]) as way, way.connect() as near:
        token = scene.tokens["coder"]
        lines = [f"GET http://127.0.0.1:{host}/a?b=c HTTP/1.1", "Host: else", credential(token), "X: y"]
        near.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        heard = near.recv(65536)
        while b"x: y" not in heard:
            heard += near.recv(65536)

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert f"/a?b=c\nHost: 127.0.0.1:{host}".encode() in heard
    assert b"Proxy" not in heard
    assert base64.b64encode(f"egg:{token}".encode()) not in heard


def test_the_local_network_is_reached_in_no_mode_but_where_its_address_is_on_the_list(
    scene: Scene, host: int
) -> None:
    local = ("localhost", "127.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1")
    with town(scene, mode="open", allow=["*.internal", f"localhost:{host}"]) as way:
        said = {name: asked(way, f"{name}:{host}", scene.tokens["coder"]) for name in local}
        metadata = asked(way, "169.254.169.254:80", scene.tokens["coder"])

    assert {name: text for name, text in said.items() if not text.startswith("403 ")} == {}
    why = "not of the internet: only an entry of that very address leads there"
    assert metadata == f"403 169.254.169.254:80 stands for 169.254.169.254, {why}"
    assert {(row[2], row[3]) for row in rows(scene)} >= {
        ("refused", "127.0.0.1"),
        ("refused", "169.254.169.254"),
    }


NEIGHBOURS = """
import subprocess
from ipaddress import ip_address
from egg_tasks.gateway import proxy_route
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for prefix in ("2600:1:2:3::5/64", "93.184.216.5/24"):
    subprocess.run(["ip", "addr", "add", prefix, "dev", "lo"], check=True)
for text in ("2600:1:2:3::99", "93.184.216.34", "2600:1:2:4::99", "93.184.217.34"):
    print(proxy_route._is_of_the_internet(ip_address(text)))
"""


def test_a_neighbour_is_of_no_internet_however_public_its_address() -> None:
    alone = ["unshare", "-n"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make a network of its own (unshare -n)")

    said = subprocess.run([*alone, sys.executable, "-c", NEIGHBOURS], check=True, capture_output=True)

    assert said.stdout.decode().split() == ["False", "False", "True", "True"]


def test_a_name_is_reached_at_the_address_that_was_judged(
    scene: Scene, host: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name stands for this machine at every second look, as one that rebinds does."""
    looks: list[str] = []
    real = socket.getaddrinfo

    def rebinding(name: object, *arguments: object, **more: object) -> object:
        if name != "rebinds.example":
            return real(name, *arguments, **more)  # type: ignore[arg-type]
        looks.append("look")
        address = "192.0.2.7" if len(looks) % 2 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, host))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with town(scene, allow=["127.0.0.9:1", f"rebinds.example:{host}", f"192.0.2.7:{host}"]) as way:
        monkeypatch.setattr("egg_tasks.gateway.addresses.CONNECT_SECONDS", 0.5)
        first = asked(way, f"rebinds.example:{host}", scene.tokens["coder"])
        second = asked(way, f"rebinds.example:{host}", scene.tokens["coder"])

    assert first == f"503 rebinds.example:{host} does not answer"
    assert second.startswith(f"403 rebinds.example:{host} stands for 127.0.0.1")
    assert len(looks) == 2


def test_observing_lets_through_what_is_not_listed_and_notes_it(scene: Scene, host: int) -> None:
    with town(scene, mode="observe", allow=[f"127.0.0.1:{host}"]) as way:
        said = asked(way, f"localhost:{host}", scene.tokens["coder"])
        asked(way, "169.254.169.254:80", scene.tokens["coder"])

    assert said == "200 Connected"
    assert rows(scene) == [
        ("169.254.169.254", 80, "refused", "169.254.169.254", "coder", 1),
        ("localhost", host, "observed", "", "coder", 1),
    ]


def test_a_token_opens_no_more_than_its_run_may(scene: Scene, host: int) -> None:
    target = f"127.0.0.1:{host}"
    with town(scene, allow=[target]) as way:
        said = [asked(way, target, token) for token in (None, OPERATOR, "made-up", scene.tokens["tester"])]
        finish(scene, "coder")
        over = asked(way, target, scene.tokens["coder"])

    assert [text.partition(" ")[0] for text in said] == ["407", "407", "407", "403"]
    assert over.startswith("409 this agent run is over")


def test_a_tunnel_ends_with_its_run(scene: Scene, host: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "LOOK_AGAIN_SECONDS", 0.1)
    with town(scene, allow=[f"127.0.0.1:{host}"]) as way:
        near, _ = opened(way, f"127.0.0.1:{host}", scene.tokens["coder"])
        finish(scene, "coder")
        began = time.monotonic()
        left = near.recv(100)
        near.close()

    assert left == b""
    assert time.monotonic() - began < 20


def test_what_a_run_asks_for_takes_no_more_rows_than_it_may(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.queries.egress.MOST", 2)
    monkeypatch.setattr(proxy_route, "HELD_SECONDS", 0)
    with town(scene) as way:
        for number in range(5):
            asked(way, f"host-{number}.invalid:443", scene.tokens["coder"])

    found = rows(scene)
    assert len(found) == 3
    assert found[0] == ("", 0, "refused", "", "coder", 3)


@pytest.mark.parametrize(
    "target", ["", "x", "x:0", "x:70000", "a b:1", "u@x.org:1", "x.org:443/path", "[::1", "é:1"]
)
def test_what_names_no_host_is_refused_in_a_sentence(scene: Scene, target: str) -> None:
    with town(scene) as way:
        said = asked(way, target, scene.tokens["coder"])

    assert said.startswith("400 ")
