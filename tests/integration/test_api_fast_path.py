"""The fast path: what agents ask most needs no router, and is answered as the router would."""

import json

import pytest

from tests.integration.api_scene import NAME, Answer, Scene

PATH = f"/pipelines/{NAME}/messages"
GOOD = {"message_type": "PROGRESS", "to_role": "tester", "subject": "Why?", "body": "é\n"}
THE_LONG_WAY = {"Content-Type": "application/json; charset=utf-8"}
A_LONG_WAY = "colour="
BODIES = {
    "the least": b'{"message_type": "STATUS"}',
    "all there is": json.dumps(
        {**GOOD, "metadata": {"a": [1, 2.5, None, {"b": "\U0001f95a"}]}, "from_role": "coder"}
    ).encode(),
    "a key twice": b'{"message_type": "STATUS", "message_type": "PROGRESS"}',
    "a reply to nothing": json.dumps({**GOOD, "in_reply_to": 77}).encode(),
    "nobody there": json.dumps({**GOOD, "to_role": "nobody"}).encode(),
    "a type of the system's": json.dumps({**GOOD, "message_type": "CONVERGE"}).encode(),
    "in another's name": json.dumps({**GOOD, "from_role": "tester"}).encode(),
    "a key nobody knows": json.dumps({**GOOD, "colour": "red"}).encode(),
    "of a wrong type": json.dumps({**GOOD, "in_reply_to": "1"}).encode(),
    "NUL": json.dumps({**GOOD, "body": "a\0b"}).encode(),
    "half a surrogate pair": b'{"message_type": "STATUS", "body": "\\ud83d"}',
    "not a number": b'{"message_type": "STATUS", "metadata": {"a": NaN}}',
    "a number beyond all": b'{"message_type": "STATUS", "metadata": {"a": 1e999}}',
    "two lines in one": json.dumps({**GOOD, "subject": "a\nb"}).encode(),
    "no JSON": b"{",
    "no UTF-8": b'{"message_type": "STATUS", "body": "\xff"}',
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "a list": b"[]",
    "nothing": b"",
}
QUERIES = (
    "since_id=0",
    "since_id=0&limit=1",
    "since_id=0&type=STATUS&type=PROGRESS",
    "since_id=0&limit=1&limit=2",
    "since_id=0&include_own=true&scope=pipeline",
    "since_id=0&colour=red",
    "since_id=99",
    "since_id=x",
    "since_id=",
    "limit=0",
    "wait=nan",
    "type=NOTHING",
    "role=coder",
    "since_id=0&role=tester",
)


def without_places(answer: Answer) -> dict[str, object]:
    """What was answered, but for which message it is and when it was sent."""
    body = json.loads(json.dumps(answer.body))
    for message in [body.get("data", {}).get("message"), *body.get("data", {}).get("messages", ())]:
        if message:
            del message["id"], message["timestamp"]
    return {**body, "message": "".join(each for each in body["message"] if not each.isdecimal())}


@pytest.fixture
def routeless(shop: Scene) -> Scene:
    """The same without a single route."""
    shop.app.router.routes[:] = []
    return shop


def test_an_agent_sends_and_reads_without_the_router(routeless: Scene) -> None:
    sent = routeless.ask("POST", PATH, GOOD, who="coder")

    assert sent.status == 201
    assert routeless.ask("GET", PATH, who="tester").data["messages"] == [sent.data["message"]]


def test_what_is_not_as_it_should_be_is_the_routers(routeless: Scene) -> None:
    assert routeless.ask("POST", PATH, {"message_type": "NOTHING"}, who="coder").status == 404
    assert routeless.ask("GET", f"{PATH}?limit=0", who="tester").status == 404
    assert routeless.ask("POST", PATH, GOOD).status == 404
    assert routeless.ask("POST", PATH, GOOD, who="coder", headers=THE_LONG_WAY).status == 404
    assert routeless.ask("GET", f"{PATH}?{A_LONG_WAY}", who="tester").status == 404


def test_a_send_is_answered_alike_on_both_ways(shop: Scene) -> None:
    for what, body in BODIES.items():
        fast = shop.ask("POST", PATH, raw=body, who="coder")
        slow = shop.ask("POST", PATH, raw=body, who="coder", headers=THE_LONG_WAY)

        assert (fast.status, without_places(fast)) == (slow.status, without_places(slow)), what


def test_a_poll_is_answered_alike_on_both_ways(shop: Scene) -> None:
    for kind in ("STATUS", "PROGRESS", "QUESTION"):
        shop.ask("POST", PATH, {**GOOD, "message_type": kind}, who="coder")

    for query in QUERIES:
        fast = shop.ask("GET", f"{PATH}?{query}", who="tester")
        slow = shop.ask("GET", f"{PATH}?{query}&{A_LONG_WAY}", who="tester")

        assert (fast.status, fast.body) == (slow.status, slow.body), query


def test_a_send_with_a_key_is_given_again_on_both_ways(shop: Scene) -> None:
    body = {**GOOD, "client_key": "k"}
    first = shop.ask("POST", PATH, body, who="coder")

    assert shop.ask("POST", PATH, body, who="coder").data == first.data
    assert shop.ask("POST", PATH, body, who="coder", headers=THE_LONG_WAY).data == first.data
