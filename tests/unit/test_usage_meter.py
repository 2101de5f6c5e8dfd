"""What a meter makes of an answer, however it comes."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import h11
import pytest

from egg_tasks.gateway import usage_meter
from egg_tasks.gateway.model_route import retry_after
from egg_tasks.gateway.usage_meter import Meter
from egg_tasks.model_providers import WireFormat
from tests.provider_stub import Step, events

PATHS = {
    "/messages": WireFormat.ANTHROPIC,
    "/responses": WireFormat.OPENAI,
    "/chat/completions": WireFormat.OPENAI,
}
STREAM, JSON = "text/event-stream", "application/json"


def metered(
    pieces: Iterable[bytes],
    wire_format: WireFormat = WireFormat.ANTHROPIC,
    *,
    kind: str = STREAM,
    is_whole: bool = True,
) -> dict[str, Any]:
    """What is made of an answer that comes in these pieces; without what is not known."""
    meter = Meter(wire_format, asks_model=True)
    meter.is_sent = True
    meter.hear(h11.Response(status_code=200, headers=[("Content-Type", kind)]))
    for piece in pieces:
        meter.hear(h11.Data(data=piece))
    if is_whole:
        meter.hear(h11.EndOfMessage())
    found = meter.end(milliseconds=1).model_dump(exclude_none=True)
    return {name: value for name, value in found.items() if name not in {"http_status", "milliseconds"}}


def cut(text: bytes, size: int) -> Sequence[bytes]:
    """A text in pieces."""
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_is_counted_wherever_it_is_cut(path: str, line_end: bytes) -> None:
    step = Step(text="Ünd so weiter", cache_read=4)
    said = b"".join(events(path, step, {"stream_options": {"include_usage": True}})).replace(b"\n", line_end)

    found = {json.dumps(metered(cut(said, size), PATHS[path])) for size in (1, 2, 3, 5, 64, len(said))}

    assert len(found) == 1
    row = json.loads(found.pop())
    row.pop("reasoning_tokens", None)
    row.pop("cache_write_tokens", None)
    assert row == {
        "usage": "whole",
        "model": "stub-1",
        "input_tokens": 12,
        "cache_read_tokens": 4,
        "output_tokens": 5,
    }


def test_a_chat_that_does_not_say_its_usage_is_known_in_part() -> None:
    said = b"".join(events("/chat/completions", Step(text="one two"), {}))

    assert metered([said], WireFormat.OPENAI) == {"usage": "part", "model": "stub-1", "output_tokens": 2}


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        "null",
        '"usage"',
        '{"usage": 5}',
        '{"usage": {"input_tokens": -1}}',
        '{"usage": {"input_tokens": true}}',
        '{"usage": {"input_tokens": 1.5, "output_tokens": 99999999999999999999}}',
        '{"usage": {"input_tokens_details": [1]}}',
        '{"model": 5, "message": [], "response": "x", "choices": {}}',
        "{" * 50_000,
        "[" * 50_000,
        "{",
        "\xff",
    ],
)
def test_what_is_of_no_known_shape_says_nothing(document: str) -> None:
    text = document.encode("latin-1")

    assert metered([text], kind=JSON) == {"usage": "none"}
    assert metered([b"data: " + text + b"\n\n"]) == {"usage": "none"}


def test_what_a_tool_is_given_is_no_usage() -> None:
    content = [{"type": "tool_use", "input": {"usage": {"input_tokens": 1, "output_tokens": 1}}}]
    said = {"content": content, "usage": {"input_tokens": 70, "output_tokens": 80}}

    assert metered([json.dumps(said).encode()], kind=JSON) == {
        "usage": "whole",
        "input_tokens": 70,
        "output_tokens": 80,
    }


def test_a_name_that_cannot_be_stored_is_made_so_or_left_out() -> None:
    names = ["\0", "\ud800", "x" * 500]

    found = [metered([json.dumps({"model": name}).encode()], kind=JSON).get("model") for name in names]

    assert found == [None, "?", "x" * 200]


def test_what_is_longer_than_is_looked_at_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_meter, "MOST", 100)
    said = json.dumps({"text": "x" * 200, "usage": {"input_tokens": 1, "output_tokens": 1}}).encode()

    assert metered(cut(said, 7), kind=JSON) == {"usage": "none"}
    assert metered(cut(b"data: " + said + b"\n\n", 7)) == {"usage": "none"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({b"retry-after": b"7"}, 7),
        ({b"retry-after": b"0.5"}, 0.5),
        ({b"retry-after-ms": b"1500", b"retry-after": b"2"}, 1.5),
        ({b"retry-after": b"Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"-5"}, None),
        ({b"retry-after": b"1" * 50}, None),
        ({b"retry-after": b"Wed, 21 Oct 2015 07:28:00"}, None),
        ({}, None),
    ],
)
def test_when_to_come_again_is_taken_in_each_of_its_spellings(
    headers: dict[bytes, bytes], seconds: float | None
) -> None:
    found = retry_after(headers)

    assert (found and found.total_seconds()) == seconds or (
        found is not None and found.total_seconds() == seconds
    )
