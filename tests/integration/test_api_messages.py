"""The bus over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from egg_tasks import config
from tests.integration.api_scene import NAME, Answer, Scene

PATH = f"/pipelines/{NAME}/messages"


def send(shop: Scene, who: str, **more: object) -> Answer:
    body = {"message_type": "QUESTION", "to_role": "tester", "subject": "Why?", **more}
    return shop.ask("POST", PATH, body, who=who)


def test_a_message_reaches_the_role_it_is_for(shop: Scene) -> None:
    sent = send(shop, "coder").data["message"]

    page = shop.ask("GET", PATH, who="tester").data

    assert page["messages"] == [sent]


def test_a_poll_goes_on_where_the_last_one_stopped(shop: Scene) -> None:
    send(shop, "coder")
    shop.ask("GET", PATH, who="tester")

    assert shop.ask("GET", PATH, who="tester").data["messages"] == []


def test_a_person_who_reads_a_roles_messages_takes_none_away(shop: Scene) -> None:
    send(shop, "coder")
    shop.ask("GET", f"{PATH}?role=tester")

    assert shop.ask("GET", PATH, who="tester").data["count"] == 1


def test_the_same_client_key_sends_once(shop: Scene) -> None:
    first = send(shop, "coder", client_key="k").data["message"]

    assert send(shop, "coder", client_key="k").data["message"] == first
    assert shop.ask("GET", f"{PATH}/status").data["total"] == 1


def test_ids_are_gapless_whoever_writes_at_once(shop: Scene) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: send(shop, ("coder", "operator")[number % 2]), range(40)))

    page = shop.ask("GET", f"{PATH}?since_id=0", who="tester").data

    assert [message["id"] for message in page["messages"]] == list(range(1, 41))


def test_a_waiting_poll_returns_when_a_message_comes(shop: Scene) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shop.ask, "GET", f"{PATH}?wait=20", who="tester")
        sent = send(shop, "coder").data["message"]

        assert waiting.result(timeout=15).data["messages"] == [sent]


def test_nobody_speaks_for_another(shop: Scene) -> None:
    assert send(shop, "coder", from_role="tester").status == 403
    assert send(shop, "operator", from_role="coder").status == 403
    assert shop.ask("GET", f"{PATH}?role=coder", who="tester").status == 403


def test_an_operator_writes_as_human(shop: Scene) -> None:
    sent = send(shop, "operator", message_type="DIRECTIVE").data["message"]

    assert (sent["from_role"], sent["message_type"]) == ("human", "DIRECTIVE")


def test_an_unknown_recipient_is_told_the_roster(shop: Scene) -> None:
    answer = send(shop, "coder", to_role="nobody")

    assert (answer.status, answer.body["details"]["roster"]) == (422, ["coder", "tester"])


def test_a_cursor_beyond_the_newest_message_is_told_the_newest(shop: Scene) -> None:
    answer = shop.ask("GET", f"{PATH}?since_id=9", who="tester")

    assert (answer.status, answer.body["details"]) == (409, {"tip": 0})


def test_a_body_of_more_than_64_kib_is_too_large(shop: Scene) -> None:
    assert send(shop, "coder", body="x" * 65_537).status == 413


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"subject": "x" * 201}, 422),
        ({"metadata": {"x": "y" * 16_384}}, 413),
        ({"body": 7}, 422),
        ({"message_type": "AGENT_FAILED"}, 403),
        ({"message_type": "DIRECTIVE"}, 403),
        ({"in_reply_to": 99}, 422),
        ({"client_key": ""}, 422),
    ],
)
def test_what_must_not_be_sent_is_refused_and_leaves_nothing(
    shop: Scene, more: dict[str, object], status: int
) -> None:
    assert send(shop, "coder", **more).status == status
    assert shop.ask("GET", f"{PATH}/status").data["total"] == 0


@pytest.mark.parametrize(
    "query",
    ["since_id=x", "since_id=-1", "limit=0", "limit=501", "wait=61", "wait=nan", "type=DONE", "scope=x"],
)
def test_a_value_that_is_none_is_malformed(shop: Scene, query: str) -> None:
    assert shop.ask("GET", f"{PATH}?{query}", who="tester").status == 400


def test_a_poll_tried_again_with_its_key_gives_the_same(shop: Scene) -> None:
    sent = send(shop, "coder").data["message"]
    shop.ask("GET", f"{PATH}?poll_key=k1", who="tester")

    again = shop.ask("GET", f"{PATH}?poll_key=k1", who="tester").data["messages"]

    assert again == [sent]
    assert shop.ask("GET", f"{PATH}?poll_key=k2", who="tester").data["count"] == 0


def test_a_person_reads_what_is_for_people(shop: Scene) -> None:
    sent = send(shop, "coder", to_role="human").data["message"]

    assert shop.ask("GET", f"{PATH}?role=human").data["messages"] == [sent]
    assert shop.ask("GET", f"{PATH}?role=human", who="coder").status == 403


def test_nobody_is_written_to_when_the_pipeline_is_over(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/cancel")

    answer = send(shop, "operator", message_type="DIRECTIVE")

    assert (answer.status, answer.body["details"]["status"]) == (409, "cancelled")


def test_the_status_counts_by_type_and_sender_and_shows_receipts(shop: Scene) -> None:
    send(shop, "coder")
    send(shop, "coder", to_role="all", message_type="PROGRESS")
    shop.ask("GET", f"{PATH}?limit=1", who="tester")

    found = shop.ask("GET", f"{PATH}/status", who="coder").data

    assert (found["by_type"], found["by_role"]) == ({"QUESTION": 1, "PROGRESS": 1}, {"coder": 2})
    assert found["receipts"]["tester"] == {
        "delivered": 1,
        "handled": 0,
        "unread": 1,
        "unhandled": 2,
        "dropped": False,
    }


def test_an_agent_that_asks_too_often_is_told_when_to_come_back(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_RATE_LIMIT", "1")
    config.settings.cache_clear()

    answers = [shop.ask("GET", PATH, who="tester") for _ in range(6)]

    assert [answer.status for answer in answers[:4]] == [200] * 4
    assert answers[5].status == 429
    assert answers[5].headers["retry-after"] == "1"
    assert all(shop.ask("GET", f"{PATH}?role=tester").status == 200 for _ in range(10))
