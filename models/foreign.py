"""Text of others (agents, repositories, strangers' files), as a person, a prompt or a log is shown it.

There are two ways and no third: on one line, or on lines of which each begins with a mark of ours. So no
line of theirs begins like one of ours, and nothing in it moves a cursor or turns the direction of a line.
What we say is a `page` of such parts.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

NAMED = 20
"""So many things are named in a sentence."""
MOST_MARKS = 8
"""So many accents may stand on one character: more of them cover the lines above and below."""
JOINERS = frozenset("\u200c\u200d")
"""What parts or joins the letters of some scripts, and the parts of an emoji: seen by what it does there."""
IN_PROMPTS = "  > "
FOR_PEOPLE = "    "


class Shown(str):
    """Text that may be shown as it is: it came through here."""

    __slots__ = ()


def page(parts: Iterable[str]) -> Shown:
    """What is said in parts: each is one line, whatever is in it, unless it is `Shown`."""
    return Shown("\n".join(part if isinstance(part, Shown) else one_line(part) for part in parts))


def one_line(text: object) -> str:
    """*text* on one line, exactly: line breaks, control characters and what cannot be seen stand escaped."""
    plain = str(text)
    return plain if plain.isascii() and plain.isprintable() else "".join(_visible(plain))


def flat(text: object) -> str:
    """Words on one line: each line break in them, and any other white space, is one blank."""
    return one_line(" ".join(str(text or "").split()))


def fenced(text: object) -> Shown:
    """*text* as a prompt quotes it, line by line."""
    return behind(IN_PROMPTS, text)


def indented(text: object) -> Shown:
    """*text* as a person is shown it below a line of ours."""
    return behind(FOR_PEOPLE, text)


def hanging(text: object) -> Shown:
    """*text* whose first line begins with words of ours, and each further one with a mark of ours."""
    first, line_break, rest = str(text).partition("\n")
    return page([first, indented(rest)] if line_break else [first])


def named(things: Sequence[object], *, most: int = NAMED, of: int | None = None) -> str:
    """The first *most* of *things* in a sentence, and how many more there are *of* them in all."""
    left = (of or len(things)) - len(things[:most])
    more = f" and {left} more" if left else ""
    return ", ".join(map(one_line, things[:most])) + more


def counted(number: int, one: str, many: str | None = None) -> str:
    """How many of a thing: `1 message`, `2 messages`; *many* where an s does not make it."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def escaped(character: str) -> str:
    r"""A character by its number, as Python and JSON write it: `\n`, `\x1b`, `\u202e`."""
    return character.encode("unicode_escape").decode()


def behind(mark: str, text: object) -> Shown:
    """*text* with a mark of ours before each line, or on one line that has its place otherwise."""
    lines = str(text).replace("\r\n", "\n").removesuffix("\n").split("\n")
    return Shown("\n".join(mark + "\t".join(map(one_line, line.split("\t"))) for line in lines))


def _visible(text: Iterable[str]) -> Iterator[str]:
    before, marks = "", 0
    for each in text:
        category = unicodedata.category(each)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        # Blanks of every width show as what they are.
        is_seen = each.isprintable() or category == "Zs"
        joins = each in JOINERS and before.isprintable() and not before.isascii()
        yield each if (is_seen or joins) and marks <= MOST_MARKS else escaped(each)
        before = each
