"""Reads the `PHASE_RESULT:` block of an agent's output: whatever a model makes of it, never an error.

Linear in what is read, which is the end of the output only.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_READ = 64 * 1024
"""So many characters of the end of an output are looked at."""
MAX_FIELDS = 100
MAX_JSON_LINES = 400

Fields = dict[str, object]

_MARK = re.compile(r"^[ \t>*_#`-]*PHASE_RESULT[ \t*_`]*:[ \t*_`]*", re.MULTILINE | re.IGNORECASE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FENCE = re.compile(r"[ \t>]*(```|~~~)")
_FIELD = re.compile(
    r"(?P<indent>[ \t>]*)(?P<bullet>[-*+•]\s+)?[*`\"']{0,4}"
    r"(?P<key>[A-Za-z]\w{0,63}(?:[ -]\w{1,32}){0,3})[*`\"']{0,4}[ \t]*:(?P<value>.*)"
)
_ITEM = re.compile(r"(?P<indent>[ \t>]*)(?:[-*+•]|\d{1,4}[.)])[ \t]+(?P<text>.*)")
_BLOCK_TEXT = frozenset({"|", ">", "|-", ">-"})


def last_block(output: str) -> str | None:
    """The last block of an output with all that follows it; None when there is none."""
    tail = _COLOUR.sub("", output[-MAX_READ:])
    tail = tail.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    marks = list(_MARK.finditer(tail))
    return tail[marks[-1].start() :] if marks else None


def fields_of(block: str) -> Fields:
    """The fields a block gives, as JSON or line by line; what stands first counts."""
    mark = _MARK.match(block)
    body = (block[mark.end() :] if mark else block).lstrip()
    if fence := _FENCE.match(body):
        body = body[fence.end() :].partition("\n")[2].lstrip()
    if body.startswith("{"):
        found = _decoded(body)
        if found is not None and isinstance(found.value, dict):
            return found.value
    return _Lines(body.split("\n"), is_json=body.startswith("{")).read()


@dataclass(frozen=True)
class _Decoded:
    value: object
    end: int


def _decoded(text: str) -> _Decoded | None:
    """The JSON value a text begins with."""
    try:
        return _Decoded(*json.JSONDecoder().raw_decode(text))
    except (ValueError, RecursionError):
        return None


class _Lines:
    """A walk over the lines of a block, field by field."""

    def __init__(self, lines: Sequence[str], *, is_json: bool) -> None:
        self.lines = lines
        self.is_json = is_json
        self.at = 0
        self.fields: Fields = {}

    def read(self) -> Fields:
        """Read fields until something else follows them."""
        key, indent = "", 0
        while self.at < len(self.lines) and len(self.fields) < MAX_FIELDS:
            line = self.lines[self.at]
            self.at += 1
            field = _FIELD.match(line)
            if field:
                key, indent = _key(field["key"]), len(field["indent"])
                self.fields.setdefault(key, self._value(field))
            elif line.strip() and self.fields and not self._goes_on(key, line, indent):
                break
        return self.fields

    def _value(self, field: re.Match[str]) -> object:
        # JSON that cannot be read as such is read by its lines.
        text = _bare(field["value"].strip().removesuffix(",") if self.is_json else field["value"])
        if not text:
            return self._items(len(field["indent"]), is_bulleted=field["bullet"] is not None)
        if text[0] in "[{":
            return self._structure(text)
        return "" if text in _BLOCK_TEXT else text

    def _items(self, indent: int, *, is_bulleted: bool) -> object:
        """The list below a field without a value; no text where there is none."""
        items: list[object] = []
        while self.at < len(self.lines):
            item = _ITEM.match(self.lines[self.at])
            if not item or (is_bulleted and len(item["indent"]) <= indent):
                break
            items.append(_bare(item["text"]))
            self.at += 1
        return items or ""

    def _structure(self, text: str) -> object:
        """A JSON value, on this line or over several; else the words between its brackets."""
        below = "\n".join((text, *self.lines[self.at : self.at + MAX_JSON_LINES]))
        found = _decoded(below)
        if found is None and text[-1] not in "]}":
            return text
        if found is None:
            return [_bare(part) for part in text.strip("[]{}, ").split(",")]
        self.at += below.count("\n", 0, found.end)
        return found.value

    def _goes_on(self, key: str, line: str, indent: int) -> bool:
        """Whether a line goes on with the text above it, which it then is added to."""
        said = self.fields.get(key)
        is_deeper = len(line) - len(line.lstrip(" \t>")) > indent
        if not isinstance(said, str) or not is_deeper or _FENCE.match(line):
            return False
        self.fields[key] = f"{said} {line.strip()}".strip()
        return True


def _key(text: str) -> str:
    return re.sub(r"[ -]", "_", text).lower()


def _bare(text: str) -> str:
    """A value without the quotes, ticks and stars around it."""
    text = text.strip().removeprefix("**").strip()
    for mark in ("**", "`", '"', "'"):
        if len(text) >= 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            return text[len(mark) : -len(mark)].strip()
    return text.removesuffix("**").strip()
