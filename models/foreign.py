"""Text that agents and strangers wrote, made harmless for a person, a prompt and a log."""

from collections.abc import Sequence

NAMED = 20
"""So many things are named in a sentence."""


def one_line(text: str) -> str:
    """*text* on one line: line breaks, control characters and marks that turn its direction stand escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def named(things: Sequence[object], *, most: int = NAMED) -> str:
    """The first *most* of *things* in a sentence, and how many more there are."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(map(str, things[:most])) + more
