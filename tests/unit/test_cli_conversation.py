"""What people read of a conversation, against a real HTTP server that answers as it is told."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cli.conversation import conversation
from tests.hostile_words import ALL_AT_ONCE, faults
from tests.unit.cli_samples import PIPELINE, at
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]


def sent(number: int, **more: object) -> dict[str, Any]:
    """A message of the implement phase."""
    return {
        "id": number,
        "pipeline_id": "demo-1",
        "phase": "implement",
        "iteration": 1,
        "from_role": "coder",
        "to_role": "tester",
        "message_type": "QUESTION",
        "subject": "May it?",
        "body": "",
        "metadata": {},
        "in_reply_to": None,
        "timestamp": at(30, number % 60),
        **more,
    }


def part(*messages: dict[str, Any], more: bool = False, after: int = 0) -> dict[str, Any]:
    return {
        "messages": list(messages),
        "next_after": messages[-1]["id"] if messages else after,
        "has_more": more,
    }


def test_a_conversation_is_read_to_its_end_page_by_page(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data=part(sent(1), more=True))
    server.say(200, "", data=part(more=True, after=5000))
    server.say(200, "", data=part(sent(5001, in_reply_to=1, message_type="RESPONSE", body="Yes.\nIt may.")))

    code = egg("message", "list", "demo-1", "--role", "coder", "--type", "question", "--type", "response")

    assert code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("-- implement, 2026-11-21 ")
    assert [line[9:] for line in lines[1:3]] == [
        "   1 coder → tester QUESTION: May it?",
        "5001 coder → tester RESPONSE (to 1): May it?",
    ]
    assert lines[3:] == ["    Yes.", "    It may."]
    assert [asked.path.partition("?")[2] for asked in server.asked] == [
        "role=coder&type=QUESTION&type=RESPONSE&after=0&limit=500",
        "role=coder&type=QUESTION&type=RESPONSE&after=1&limit=500",
        "role=coder&type=QUESTION&type=RESPONSE&after=5000&limit=500",
    ]


def test_a_limit_ends_it_and_says_how_to_go_on(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data=part(sent(1), sent(2), more=True))

    egg("message", "list", "demo-1", "--limit", "2", "--jsonl")

    printed = capsys.readouterr()
    assert [json.loads(line)["id"] for line in printed.out.splitlines()] == [1, 2]
    assert "--after 2" in printed.err
    assert len(server.asked) == 1


def test_as_json_it_is_one_document(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data=part(sent(1)))

    egg("message", "list", "demo-1", "--json")

    assert json.loads(capsys.readouterr().out) == part(sent(1))


def test_it_is_followed_until_the_pipeline_has_ended(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"pipeline": PIPELINE})
    server.say(200, "", data=part(sent(1)))
    server.say(200, "", data={"pipeline": {**PIPELINE, "status": "complete"}})
    server.say(200, "", data=part(sent(2)))

    egg("message", "list", "demo-1", "--follow", "--jsonl")

    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [1, 2]
    assert "wait=20" in server.asked[1].path
    assert "after=1&limit=500" in server.asked[3].path


def test_a_document_that_never_ends_is_refused(server: Scripted, egg: Egg) -> None:
    assert egg("message", "list", "demo-1", "--follow", "--json") == 2
    assert server.asked == []


def test_nothing_that_was_said_is_said_to_be_nothing(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data=part())
    server.say(200, "", data=part())
    server.say(200, "", data={"by_role": {"tester": 1, "coder": 2}})

    egg("message", "list", "demo-1")
    egg("message", "list", "demo-1", "--role", "codr")

    assert capsys.readouterr().err.splitlines() == [
        "nothing was said",
        "nothing of that kind was said; those who have spoken: coder, tester",
    ]


def test_nobodys_words_begin_a_line_of_a_conversation_like_ours() -> None:
    words = sent(1, subject=ALL_AT_ONCE, body=ALL_AT_ONCE)

    text = "\n".join(conversation([words]))

    assert faults(text) == []
    assert "harmless" in text
