"""Markdown: tables whose cells may hold anything, and JSON schemas in words."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

BOUNDS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "{} at most",
    "exclusiveMaximum": "less than {}",
    "minLength": "characters: {} or more",
    "maxLength": "characters: {} at most",
    "minItems": "members: {} or more",
    "maxItems": "members: {} at most",
    "pattern": "`{}`",
}
"""How a bound of a JSON schema is said."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, and the empty line behind it; nothing without rows."""
    lines = [f"| {' | '.join(_cell(text) for text in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *lines, ""]) if lines else ""


def code(text: str) -> str:
    """A word as it is typed."""
    return f"`{text}`"


def plain(text: str | None) -> str:
    """A docstring's text on one line."""
    return " ".join((text or "").split())


def kind(schema: Schema, *, names: Mapping[str, str] | None = None) -> str:
    """What a value may be, in words; *names* has the words for shapes that are described elsewhere."""
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return (names or {}).get(name, name)
    if "const" in schema:
        return code(json.dumps(schema["const"]).strip('"'))
    if "enum" in schema:
        return " or ".join(code(str(each)) for each in schema["enum"])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            found = dict.fromkeys(
                kind(each, names=names) for each in schema[word] if each.get("type") != "null"
            )
            return " or ".join(found)
    return _simple(schema, names)


def bounds(schema: Schema) -> str:
    """What bounds a value, in words."""
    parts = [schema, *(each for word in ("anyOf", "allOf") for each in schema.get(word, ()))]
    found = [say.format(part[word]) for part in parts for word, say in BOUNDS.items() if word in part]
    return ", ".join(dict.fromkeys(found))


def default(schema: Schema, *, required: bool) -> str:
    """What stands when nothing is given."""
    if required:
        return "**must be given**"
    value = schema.get("default")
    # What a shape is by default stands in its own section.
    return "" if value in (None, []) or isinstance(value, dict) else code(json.dumps(value).strip('"'))


def _simple(schema: Schema, names: Mapping[str, str] | None) -> str:
    match schema.get("type"):
        case "array":
            items = schema.get("items", {})
            return f"list of {kind(items, names=names)}" if items else "list"
        case "object":
            members = schema.get("additionalProperties") or next(
                iter(schema.get("patternProperties", {}).values()), None
            )
            return f"map of {kind(members, names=names)}" if isinstance(members, dict) and members else "map"
        case "boolean":
            return "`true` or `false`"
        case "string":
            return {"date-time": "time", "uuid": "id"}.get(schema.get("format", ""), "text")
        case "integer":
            return "whole number"
        case str(other):
            return other
    return "anything"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
