"""How many bytes each part of a prompt may take, so that nobody's words push out another's.

What a program can read and a person pays for is finite: a prompt of some hundred KiB is already most of what
a model takes in at once. What does not fit is named, with the command that gives it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.foreign import counted

T = TypeVar("T")

KIB = 1024
MESSAGES = 256 * KIB
OBJECTIONS = 128 * KIB
DIRECTIVES = 64 * KIB
FEEDBACK = 32 * KIB
NOTES = 32 * KIB
CONFLICTS = 16 * KIB

AROUND = 400
"""Names, numbers and marks that stand around an item."""
ESCAPED = 10
"""A character that is no letter is escaped where it is shown, and a line break begins a quoted line."""


@dataclass(frozen=True)
class Fitting(Generic[T]):
    """The items that a part has room for, and those that it has not."""

    kept: tuple[T, ...]
    left: tuple[T, ...]


def shown_size(text: str) -> int:
    """So many bytes a text takes in a prompt at most, quoted and escaped."""
    size = len(text.encode("utf-8", "surrogatepass"))
    return size if text.isprintable() else size + ESCAPED * sum(not each.isprintable() for each in text)


def fitting(items: Sequence[T], *, most: int, text_of: Callable[[T], str]) -> Fitting[T]:
    """The first *items* that take *most* bytes together; the first one always, for something must be read."""
    used = 0
    for number, item in enumerate(items):
        used += shown_size(text_of(item)) + AROUND
        if number and used > most:
            return Fitting(tuple(items[:number]), tuple(items[number:]))
    return Fitting(tuple(items), ())


def cut(text: str, *, most: int) -> str:
    """The beginning of a text that takes *most* bytes, and that it is one."""
    if shown_size(text) <= most:
        return text
    short = text[:most]
    while shown_size(short) > most:
        short = short[: min(len(short) - 1, len(short) * most // shown_size(short))]
    return f"{short} … ({counted(len(text) - len(short), 'character')} more)"
