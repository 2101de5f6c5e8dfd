"""Meters of requests to models: they hear a provider's answer as it passes, and say what it has used."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h11

from egg_tasks.model_providers import WireFormat
from models.schemas.usage import Knowledge, RequestEnd

MOST = 16 << 20
"""A document, or a line of a stream, that is longer is passed on and not looked at."""
LARGEST = 2**31 - 1
LONGEST_NAME = 200
CHARACTERS_OF_A_TOKEN = 4
"""Of the words of people and programs, roughly: it is used where an answer was cut before it said."""
GOOD = range(200, 300)
NAMES = {
    "input_tokens": "input_tokens",
    "prompt_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "completion_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
"""What providers call what in the `usage` of an answer."""
DETAILS = {"cached_tokens": "cache_read_tokens", "reasoning_tokens": "reasoning_tokens"}
"""And in what is below that: of the input and the output, each a part."""
TEXTS = ("text", "thinking", "partial_json", "content", "reasoning_content", "refusal", "arguments")
"""Where a piece of a stream has what the model has written."""


class Meter:
    """What one request has used, as far as its answer has come."""

    def __init__(self, wire_format: WireFormat, *, asks_model: bool) -> None:
        self._format = wire_format
        self._asks_model = asks_model
        self._is_stream = False
        self._is_legible = False
        self._line = bytearray()
        self._counts: dict[str, int] = {}
        self._characters = 0
        self._is_told = False
        self._model: str | None = None
        self.is_sent = False
        """Whether the request has gone out, so that something may have been used."""
        self.http_status: int | None = None

    def hear(self, event: h11.Event) -> None:
        """Take in one event of the answer."""
        if isinstance(event, h11.Response):
            self._begin(event)
        elif isinstance(event, h11.Data) and self._is_legible:
            self._take(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage) and self._is_legible and not self._is_stream:
            self._look(bytes(self._line))

    def end(self, *, milliseconds: int) -> RequestEnd:
        """How the request has ended, if it ends now."""
        counts = dict(self._counts)
        usage: Knowledge = "none"
        if self._is_nothing_used():
            usage, counts = "unused", {}
        elif self._is_told:
            usage = "whole"
        elif counts or self._characters:
            usage = "part"
            written = -(-self._characters // CHARACTERS_OF_A_TOKEN)
            counts["output_tokens"] = max(counts.get("output_tokens", 0), written)
        return RequestEnd(
            usage=usage, model=self._model, http_status=self.http_status, milliseconds=milliseconds, **counts
        )

    def _is_nothing_used(self) -> bool:
        """Whether no model can have answered: a mere look, nothing sent, or an error instead of an answer."""
        is_refused = self.http_status is not None and self.http_status not in GOOD
        return not self._asks_model or not self.is_sent or is_refused

    def _begin(self, response: h11.Response) -> None:
        self.http_status = response.status_code
        headers = dict(response.headers)
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        is_packed = headers.get(b"content-encoding", b"identity").strip().lower() not in {b"identity", b""}
        self._is_stream = kind == b"text/event-stream"
        is_known = self._format is not WireFormat.OTHER and (self._is_stream or kind == b"application/json")
        self._is_legible = is_known and not is_packed and self.http_status in GOOD

    def _take(self, piece: bytes) -> None:
        if not self._is_stream:
            self._line += piece
        else:
            # However a stream is cut into pieces, its lines are whole.
            *lines, rest = piece.split(b"\n")
            for line in lines:
                self._line += line
                self._look_at_line()
                self._line.clear()
            self._line += rest
        if len(self._line) > MOST:
            self._is_legible = False
            self._line.clear()

    def _look_at_line(self) -> None:
        if self._line.startswith(b"data:"):
            self._look(bytes(self._line[5:]))

    def _look(self, text: bytes) -> None:
        """Look at one document; what is none, or of another shape than is known, says nothing."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return
        event = _object(found)
        # A stream says it of the whole answer, as well as beside its pieces.
        for document in (event, *(_object(event.get(key)) for key in ("message", "response"))):
            self._name(document.get("model"))
            self._count(event, _object(document.get("usage")))
        if self._is_stream:
            self._characters += sum(map(len, _written(event)))

    def _name(self, model: object) -> None:
        if isinstance(model, str) and model and "\0" not in model:
            self._model = model[:LONGEST_NAME].encode(errors="replace").decode()

    def _count(self, event: Mapping[str, Any], usage: Mapping[str, Any]) -> None:
        counts = dict(_counted(usage))
        if not counts:
            return
        if self._format is WireFormat.OPENAI and "input_tokens" in counts:
            # There, what comes from the cache is a part of the input.
            cached = counts.get("cache_read_tokens", 0)
            counts["input_tokens"] = max(0, counts["input_tokens"] - cached)
            counts.setdefault("output_tokens", 0)
        self._counts |= counts
        # What begins a stream of Messages knows little of the output yet.
        is_first = event.get("type") == "message_start"
        self._is_told = "input_tokens" in self._counts and not is_first


def _counted(usage: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in usage.items():
        if name in NAMES and _is_count(value):
            yield NAMES[name], value
        for part, count in _object(value).items():
            if part in DETAILS and _is_count(count):
                yield DETAILS[part], count


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _written(event: Mapping[str, Any]) -> Iterator[str]:
    """What a piece of a stream adds to what the model has written."""
    delta = event.get("delta")
    if isinstance(delta, str):
        yield delta
    for piece in (delta, *(_object(choice).get("delta") for choice in _array(event.get("choices")))):
        calls = (_object(call).get("function") for call in _array(_object(piece).get("tool_calls")))
        for each in map(_object, (piece, *calls)):
            yield from (each[name] for name in TEXTS if isinstance(each.get(name), str))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _array(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
