"""The client against a real HTTP server that answers as it is told."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from egg_tasks.client import Client
from models.errors import Conflict, Forbidden, Malformed, NotFound, Rejected, Unavailable
from tests.unit.scripted_server import Scripted, serving


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as script:
        yield script


def free_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_answer_is_the_data_of_its_envelope(server: Scripted) -> None:
    server.say(200, "ok", data={"pipelines": [], "next_after": None})

    answer = Client(server.url, "secret").get("/pipelines", {"limit": 5, "after": None})

    assert answer == {"pipelines": [], "next_after": None}
    assert server.asked == [("GET", "/api/v1/pipelines?limit=5", None, "Bearer secret")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Malformed), (403, Forbidden), (404, NotFound), (409, Conflict), (418, Rejected)],
)
def test_a_refusal_is_the_error_of_its_status(server: Scripted, status: int, kind: type[Rejected]) -> None:
    server.say(status, "that is refused", details={"tip": 7})

    with pytest.raises(kind, match="that is refused") as refused:
        Client(server.url, "x").post("/pipelines/p/start")

    assert refused.value.details == {"tip": 7}
    assert len(server.asked) == 1


def test_what_may_be_repeated_is_repeated_while_the_database_is_away(server: Scripted) -> None:
    server.say(503, "the database is away", {"Retry-After": "0"})
    server.say(503, "the database is away", {"Retry-After": "0"})
    server.say_as_another({"n": 1})

    answer = Client(server.url, "x", patience=30).get("/ready")

    assert answer == {"n": 1}
    assert len(server.asked) == 3


def test_an_answer_is_waited_for_as_long_as_what_is_asked_for_may_take(server: Scripted) -> None:
    server.say_as_another({"n": 1})
    server.seconds = 0.5
    client = Client(server.url, "x", patience=0)

    with pytest.raises(Unavailable):
        client.post("/pipelines/p/signal", seconds=0.1)

    assert client.post("/pipelines/p/signal", seconds=30) == {"n": 1}


def test_a_send_with_a_client_key_is_repeated_after_the_server_hung_up(server: Scripted) -> None:
    server.answers.append((0, None, {}))
    server.say(201, "sent", data={"message": {"id": 1}})

    answer = Client(server.url, "x", patience=30).post("/pipelines/p/messages", {"client_key": "k"})

    assert answer["message"]["id"] == 1
    assert len(server.asked) == 2


def test_what_must_not_be_repeated_is_tried_once_after_it_was_sent(server: Scripted) -> None:
    server.answers.append((0, None, {}))

    with pytest.raises(Unavailable):
        Client(server.url, "x", patience=30).post("/pipelines/p/cancel")

    assert len(server.asked) == 1


def test_a_server_that_stays_away_is_unavailable_and_the_sentence_says_the_way_out() -> None:
    with pytest.raises(Unavailable, match="egg up"):
        Client(free_url(), "x", patience=0.2).post("/pipelines/p/cancel")


def test_a_server_that_comes_back_is_waited_for() -> None:
    port = int(free_url().rpartition(":")[2])
    opened: list[ThreadingHTTPServer] = []

    class Late(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"success": true, "message": "", "data": {"back": true}}')

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            """Say nothing."""

    def open_late() -> None:
        opened.append(ThreadingHTTPServer(("127.0.0.1", port), Late))
        opened[0].handle_request()

    timer = threading.Timer(0.3, open_late)
    timer.start()

    answer = Client(f"http://127.0.0.1:{port}", None, patience=30).get("/ready")

    timer.join()
    opened[0].server_close()
    assert answer == {"back": True}


def test_a_stranger_behind_the_port_is_said_to_be_no_egg_server(server: Scripted) -> None:
    server.answers.append((200, b"<html>It works!</html>", {}))

    with pytest.raises(Unavailable, match="not as an egg server"):
        Client(server.url, "x").get("/pipelines")


def test_a_bug_of_the_server_is_no_reason_to_ask_again(server: Scripted) -> None:
    server.say(500, "something is broken")

    with pytest.raises(Unavailable, match="something is broken"):
        Client(server.url, "x", patience=30).get("/pipelines")

    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["localhost:8700", "ftp://host", "http://", ""])
def test_a_url_that_is_none_is_refused_by_the_name_of_its_variable(url: str) -> None:
    with pytest.raises(Malformed, match="EGG_ORCHESTRATOR_URL"):
        Client(url, "x")


def test_an_odd_id_does_not_become_a_query(server: Scripted) -> None:
    server.say(404, "no such pipeline")

    with pytest.raises(NotFound):
        Client(server.url, "x").get("/pipelines/a b?c")

    assert server.asked[0].path == "/api/v1/pipelines/a%20b%3Fc"


def test_what_is_to_be_hidden_is_in_nothing_that_is_sent(server: Scripted) -> None:
    server.say(200, "ok", data={})
    hides = {"KEY": 'so"secret\nsecond-line', "SHORT": "yes"}

    Client(server.url, "x", hides=hides).post(
        "/p", {"a": 'I have so"secret\nsecond-line', "b": ["second-line", "yes"]}
    )

    assert server.asked[0].body == {"a": "I have [KEY is hidden]", "b": ["[KEY is hidden]", "yes"]}
