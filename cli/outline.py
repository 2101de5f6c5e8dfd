"""One thing with its fields, as a person reads it: a line a field, what is in a field indented below it."""

from collections.abc import Iterator, Mapping

from cli import formatting
from models.foreign import one_line

INDENT = "  "
EMPTY = "-"
LINES_OF_OTHERS = "    "
"""At least this is before each line of a text that has several: none of them begins like one of ours."""


def lines(record: Mapping[str, object], indent: str = "") -> Iterator[str]:
    """The lines of a record, without JSON."""
    width = max((len(name) for name, value in record.items() if not _is_nested(value)), default=0)
    for name, value in record.items():
        if _is_nested(value):
            yield f"{indent}{one_line(name)}"
            yield from _below(value, indent + INDENT)
        else:
            yield f"{indent}{one_line(name):<{width}}  {one_line(formatting.text_of(value)) or EMPTY}"


def _is_nested(value: object) -> bool:
    """Whether a value needs lines of its own."""
    if isinstance(value, list):
        return any(isinstance(each, dict | list) or "\n" in str(each) for each in value)
    return bool(value) and (isinstance(value, dict) or "\n" in str(value))


def _below(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from lines(value, indent)
    elif isinstance(value, list):
        for each in value:
            first, *rest = list(_below(each, indent + INDENT)) or [""]
            yield f"{indent}- {first.removeprefix(indent + INDENT)}"
            yield from rest
    else:
        for each in str(value).splitlines() or [""]:
            yield max(indent, LINES_OF_OTHERS, key=len) + one_line(each)
