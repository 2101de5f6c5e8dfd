"""The whole conversation of a pipeline over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from egg_tasks.services.reads import conversations
from tests.integration.api_rows import digests
from tests.integration.api_scene import NAME, Scene

PATH = f"/pipelines/{NAME}/messages"
HISTORY = f"{PATH}/history"


def send(scene: Scene, who: str, to_role: str, message_type: str = "STATUS") -> int:
    body = {"message_type": message_type, "to_role": to_role, "subject": f"{who} to {to_role}"}
    number = scene.ask("POST", PATH, body, who=who).data["message"]["id"]
    assert isinstance(number, int)
    return number


def whole(scene: Scene, query: str = "", limit: int = 2) -> list[dict[str, Any]]:
    """Everything that is wanted, page by page."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        page = scene.ask("GET", f"{HISTORY}?after={after}&limit={limit}{query}").data
        found += page["messages"]
        if not page["has_more"]:
            return found
        after = page["next_after"]


@pytest.fixture
def talk(shop: Scene) -> Scene:
    """Six messages of three speakers."""
    send(shop, "coder", "tester", "QUESTION")
    send(shop, "tester", "coder", "RESPONSE")
    send(shop, "coder", "all", "PROGRESS")
    send(shop, "operator", "coder", "DIRECTIVE")
    send(shop, "tester", "human", "QUESTION")
    send(shop, "tester", "all", "PROGRESS")
    return shop


def test_a_conversation_is_read_as_it_was_in_order(talk: Scene) -> None:
    wanted = {
        "": [1, 2, 3, 4, 5, 6],
        "&role=coder": [1, 2, 3, 4],
        "&role=human": [4, 5],
        "&from_role=tester": [2, 5, 6],
        "&to_role=all": [3, 6],
        "&role=tester&type=QUESTION": [1, 5],
        "&type=RESPONSE&type=DIRECTIVE": [2, 4],
        "&role=nobody": [],
    }

    assert {query: [each["id"] for each in whole(talk, query)] for query in wanted} == wanted


def test_reading_a_conversation_moves_nobodys_cursor_and_writes_nothing(talk: Scene) -> None:
    before = digests()
    whole(talk)

    assert digests() == before
    assert [each["id"] for each in talk.ask("GET", PATH, who="tester").data["messages"]] == [1, 3]


def test_a_page_looks_through_no_more_than_a_window_of_numbers(
    talk: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "WINDOW", 3)

    page = talk.ask("GET", f"{HISTORY}?type=DIRECTIVE").data

    assert page == {"messages": [], "next_after": 3, "has_more": True}
    assert [each["id"] for each in whole(talk, "&type=DIRECTIVE")] == [4]


def test_who_waits_for_the_conversation_hears_of_whatever_is_said(talk: Scene) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(talk.ask, "GET", f"{HISTORY}?after=6&wait=20")
        sent = send(talk, "coder", "tester")

        assert [each["id"] for each in waiting.result(timeout=15).data["messages"]] == [sent]


def test_what_is_no_place_in_the_conversation_is_refused(talk: Scene) -> None:
    queries = ("after=7", "after=-1", "limit=501", "type=DONE")

    assert [talk.ask("GET", f"{HISTORY}?{query}").status for query in queries] == [409, 400, 400, 400]
    assert talk.ask("GET", "/pipelines/nope/messages/history").status == 404
