"""The bus over HTTP."""

from concurrent.futures import ThreadPoolExecutor

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
