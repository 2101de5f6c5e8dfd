"""The gateway's way to the API: all that is an agent's, nothing that is not, and no right of its own."""

import json
import socket
import stat
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from egg_tasks.client import Client, NewMessage, Wanted
from egg_tasks.gateway import doors
from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from models.errors import Conflict, Unauthenticated
from tests.integration.api_rows import digests, finish
from tests.integration.api_scene import NAME, OPERATOR, Scene
from tests.integration.gateway_scene import Way, gateway, relayed
from tests.integration.test_api_credentials import PULSE, ROUTES, SEND, P


@pytest.fixture
def way(shop: Scene) -> Iterator[Way]:
    """A gateway before the shop's API."""
    with gateway(shop.home, api_port=shop.port) as found:
        yield found


def answered(connection: socket.socket) -> HTTPResponse:
    """The answer that comes on a connection."""
    response = HTTPResponse(connection)
    response.begin()
    return response


def head(method: str, path: str, token: str, *lines: str) -> bytes:
    """The head of a request."""
    words = (f"{method} /api/v1{path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *lines)
    return ("\r\n".join(words) + "\r\n\r\n").encode()


def test_it_lets_through_what_the_api_lets_agents_do_and_nothing_else(shop: Scene, way: Way) -> None:
    asked = {
        name: way.ask(name.partition(" ")[0], route.path.replace("@", "x"), shop.tokens["coder"], route.body)
        for name, route in ROUTES.items()
        if route.path != P or "GET" in name
    }

    refused = {name for name, (_, body) in asked.items() if "not for agents" in body.get("message", "")}
    assert refused == {name for name, route in ROUTES.items() if route.agent == 403}


@pytest.mark.parametrize("who", [OPERATOR, "a-token-nobody-knows", None])
def test_the_operators_token_opens_nothing_here(way: Way, who: str | None) -> None:
    before = digests()

    asked = {
        name: way.ask(name.partition(" ")[0], route.path, who, route.body)[0]
        for name, route in ROUTES.items()
        if not route.is_open
    }

    assert set(asked.values()) == {401}
    assert digests() == before


def test_what_is_not_for_agents_does_not_reach_the_api(shop: Scene, way: Way) -> None:
    before = digests()

    status, body = way.ask("POST", f"{P}/cancel", shop.tokens["coder"])

    assert (status, body["message"]) == (
        403,
        "this is not for agents; an agent asks with `egg message send --to human`",
    )
    assert digests() == before


def test_a_run_that_is_over_is_told_so_as_by_the_api(shop: Scene, way: Way) -> None:
    finish(shop, "coder")

    found = way.ask("POST", f"{P}/signal", shop.tokens["coder"], PULSE)

    assert found == (409, shop.ask("POST", f"{P}/signal", PULSE, who="coder").body)


def test_an_agents_own_client_works_over_relay_and_gateway(shop: Scene, way: Way) -> None:
    with relayed(gateway_of(way.home) / GATEWAY_SOCKET) as port:
        coder = Client(f"http://127.0.0.1:{port}", shop.tokens["coder"])
        tester = Client(f"http://127.0.0.1:{port}", shop.tokens["tester"])
        sent = coder.send(NAME, NewMessage("QUESTION", "tester", "Which way?"))
        page = tester.poll(NAME, Wanted())

    assert [message["id"] for message in page["messages"]] == [sent["id"]]


def test_a_client_that_nobody_knows_is_told_before_it_tells_its_token(way: Way) -> None:
    stranger = Client(f"http://127.0.0.1:{way.port}", "a-token-nobody-knows", patience=0)

    with pytest.raises(Unauthenticated):
        stranger.poll(NAME, Wanted())


def test_who_waits_is_woken_through_the_gateway(shop: Scene, way: Way) -> None:
    found: list[int] = []
    asking = threading.Thread(
        target=lambda: found.append(
            way.ask("GET", f"{P}/messages?wait=20", shop.tokens["tester"])[1]["data"]["count"]
        )
    )
    asking.start()
    time.sleep(0.3)

    way.ask("POST", f"{P}/messages", shop.tokens["coder"], SEND)
    asking.join(10)

    assert found == [1]


def test_who_hangs_up_while_waiting_is_gone_for_the_api_too(shop: Scene) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as slow,
        gateway(shop.home, api_port=slow.getsockname()[1]) as way,
    ):
        with way.connect() as near:
            near.sendall(head("GET", "/ready", ""))
            far = slow.accept()[0]
            far.settimeout(20)
            asked = far.recv(65536)
        left = far.recv(65536)
        far.close()

    assert (asked.startswith(b"GET /api/v1/ready "), left) == (True, b"")


def test_the_head_of_a_request_is_bounded_before_it_is_known_whose_it_is(way: Way) -> None:
    with way.connect() as near:
        near.sendall(b"GET /api/v1/ready HTTP/1.1\r\nX-Long: " + b"x" * 20_000)
        response = answered(near)
        said = json.loads(response.read())

    assert (response.status, said["message"]) == (413, "the head of a request is at most 16 KiB")


def test_a_body_is_bounded_as_the_api_bounds_it(shop: Scene, way: Way) -> None:
    size = 64 * 2**20
    with way.connect() as near:
        near.sendall(
            head(
                "POST",
                f"{P}/messages",
                shop.tokens["coder"],
                f"Content-Length: {size}",
                "Content-Type: application/json",
            )
        )
        near.sendall(b" " * 100_000)
        response = answered(near)
        said = json.loads(response.read())

    assert (response.status, said["message"]) == (413, "the body of this request is at most 512 KiB")


def test_a_body_in_pieces_arrives_whole(shop: Scene, way: Way) -> None:
    with way.connect() as near:
        near.sendall(
            head(
                "POST",
                f"{P}/messages",
                shop.tokens["coder"],
                "Transfer-Encoding: chunked",
                "Content-Type: application/json",
            )
        )
        for piece in (b'{"message_type": "PROGRESS",', b' "subject": "in pieces"}', b""):
            near.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        said = json.loads(answered(near).read())

    assert said["data"]["message"]["subject"] == "in pieces"


def test_one_connection_serves_request_after_request(shop: Scene, way: Way) -> None:
    connection = HTTPConnection("127.0.0.1", way.port, timeout=10)
    statuses = []
    for path, token in ((f"{P}/context", "coder"), (P, "coder"), (f"{P}/context", "coder")):
        connection.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {shop.tokens[token]}"})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [200, 403, 200]


ODD = {
    b"\x16\x03\x01\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"GET /api/v2/health HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n": 200,
    b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"x: y\r\n" * 40_000 + b"\r\n": 413,
    b"POST /api/v1/pipelines/shop/signal HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n": 401,
    b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n": 400,
    b"GET /api/v1/ready HTTP/1.1\r\nHost: x\r\n\r\n": 503,
}
"""What somebody may say to a gateway whose API is away, each with the status of its answer."""


def test_what_is_no_request_of_ours_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGG_DATABASE_URL", "postgresql://127.0.0.1:1/egg")
    monkeypatch.setenv("EGG_REDIS_URL", "redis://127.0.0.1:1/0")
    told = {}
    with gateway(tmp_path, api_port=1) as way:
        for said in ODD:
            with way.connect() as near:
                near.sendall(said)
                response = answered(near)
                told[said] = response.status, json.loads(response.read())["message"]

    assert {said: status for said, (status, _) in told.items()} == ODD
    assert all(message for _, message in told.values())


def test_a_gateway_that_is_started_anew_is_found_through_a_relay_that_lives(shop: Scene) -> None:
    token = shop.tokens["coder"]
    with relayed(gateway_of(shop.home) / GATEWAY_SOCKET) as port:
        statuses = []
        for _ in range(2):
            with gateway(shop.home, api_port=shop.port) as way:
                statuses.append(way.ask("GET", f"{P}/context", token, port=port)[0])

    assert statuses == [200, 200]


def test_one_gateway_owns_a_home(way: Way) -> None:
    with pytest.raises(Conflict, match="a gateway runs in"), doors.owned(way.home):
        pass


def test_everybody_may_pass_to_the_socket_and_nobody_may_see_the_directory(way: Way) -> None:
    place = gateway_of(way.home)

    assert [stat.S_IMODE(path.stat().st_mode) for path in (place, place / GATEWAY_SOCKET)] == [0o711, 0o666]
    assert list(place.iterdir()) == [place / GATEWAY_SOCKET]
