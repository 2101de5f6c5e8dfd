"""Events over HTTP: pages, long polls and streams."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from egg_tasks.api.streaming import Pace
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.bus import events
from models.events import EventType
from models.queries import pipelines
from tests.integration.api_scene import NAME, OPERATOR, Scene, served

PATH = f"/pipelines/{NAME}/events"


@contextmanager
def streaming(scene: Scene, **headers: str) -> Iterator[HTTPResponse]:
    """An open stream of events."""
    connection = HTTPConnection("127.0.0.1", scene.port, timeout=20)
    given = {"Accept": "text/event-stream", "Authorization": f"Bearer {OPERATOR}", **headers}
    connection.request("GET", f"/api/v1{PATH}", headers=given)
    response = connection.getresponse()
    yield response
    response.close()
    connection.close()


def read_event(stream: HTTPResponse) -> tuple[int, str, Any]:
    """The next event: its number, its name, what it says."""
    fields: dict[str, str] = {}
    while "data" not in fields:
        name, _, value = stream.readline().decode().rstrip("\n").partition(": ")
        fields[name] = value
    stream.readline()
    return int(fields["id"]), fields["event"], json.loads(fields["data"])


def test_pages_follow_each_other_without_a_gap(shop: Scene) -> None:
    found: list[int] = []
    page: dict[str, Any] = {"next_after": 0, "has_more": True}
    while page["has_more"]:
        page = shop.ask("GET", f"{PATH}?limit=3&after={page['next_after']}").data
        found += [event["id"] for event in page["events"]]

    assert found == list(range(1, len(found) + 1))


def test_a_page_is_bounded_in_bytes_and_says_that_there_is_more(shop: Scene) -> None:
    said = {"signal_type": "progress", "reason": "x" * 60_000}
    for _ in range(40):
        assert shop.ask("POST", f"/pipelines/{NAME}/signal", said, who="coder").status == 200

    page = shop.ask("GET", f"{PATH}?limit=500&after=0").data

    assert page["has_more"]
    assert len(json.dumps(page)) < 1.2 * 2**20


def test_a_waiting_reader_hears_of_a_message(shop: Scene) -> None:
    tip = shop.ask("GET", PATH).data["next_after"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shop.ask, "GET", f"{PATH}?after={tip}&wait=20")
        body = {"message_type": "PROGRESS", "subject": "half way"}
        shop.ask("POST", f"/pipelines/{NAME}/messages", body, who="coder")

        event = waiting.result(timeout=15).data["events"][0]

    assert (event["type"], event["data"]["subject"]) == ("message.sent", "half way")
    assert event["data"]["message_id"] == 1


def test_a_stream_begins_with_a_snapshot_and_goes_on_live(shop: Scene) -> None:
    with streaming(shop) as stream:
        number, first, snapshot = read_event(stream)
        shop.say("tester", "BLOCKED", on="coder")
        following = read_event(stream)

    assert (first, snapshot["status"]) == ("snapshot", "running")
    assert following[:2] == (number + 1, "readiness.changed")


def test_a_stream_goes_on_after_the_last_event_its_reader_had(shop: Scene) -> None:
    with streaming(shop, **{"Last-Event-ID": "2"}) as stream:
        read_event(stream)
        number, _, _ = read_event(stream)

    assert number == 3


def test_a_stream_ends_with_its_pipeline(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/cancel")

    with streaming(shop, **{"Last-Event-ID": "0"}) as stream:
        text = stream.read().decode()

    assert "event: pipeline.cancelled" in text


def test_a_reader_who_has_all_of_an_ended_pipeline_need_not_come_back(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/cancel")
    tip = shop.ask("GET", f"{PATH}?limit=500").data["next_after"]

    with streaming(shop, **{"Last-Event-ID": str(tip)}) as stream:
        assert stream.status == 204


def test_a_last_event_that_is_no_number_is_refused(shop: Scene) -> None:
    with streaming(shop, **{"Last-Event-ID": "x"}) as stream:
        assert stream.status == 400


@pytest.fixture
def hasty(scene: Scene) -> Iterator[Scene]:
    """The API with a second server whose streams wait for nobody."""
    scene.create()
    with served(scene.home, Pace(heartbeat_seconds=0.2, patience_seconds=0.5)) as found:
        yield found


def test_a_silent_stream_sends_heartbeats(hasty: Scene) -> None:
    with streaming(hasty) as stream:
        read_event(stream)
        lines = [stream.readline() for _ in range(4)]

    assert lines == [b": heartbeat\n", b"\n"] * 2


def test_a_reader_who_takes_nothing_is_closed_and_the_others_go_on(hasty: Scene) -> None:
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", hasty.port))
        request = (
            f"GET /api/v1{PATH} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Last-Event-ID: 0\r\nAuthorization: Bearer {OPERATOR}\r\n\r\n"
        )
        slow.sendall(request.encode())
        with streaming(hasty) as quick:
            read_event(quick)
            tell_much()
            seen = [read_event(quick)[1] for _ in range(16)]
        # Far more than one who reads nothing can be waited for.
        time.sleep(1.5)
        got = drained(slow)

    assert seen == ["agent.progress"] * 16
    assert not got.endswith(b"0\r\n\r\n")
    assert len(got) < 16_000_000


def tell_much() -> None:
    """Record 16 events of 1 MB each."""
    with unit_of_work() as session:
        pipeline = pipelines.get_pipeline(session, pipeline_id=NAME)
        for _ in range(16):
            details: dict[str, object] = {"text": "x" * 1_000_000}
            events.record(
                session, EventType.AGENT_PROGRESS, "much", now=utcnow(), pipeline=pipeline, details=details
            )


def drained(slow: socket.socket) -> bytes:
    """What came until the server closed."""
    parts = []
    while part := slow.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)
