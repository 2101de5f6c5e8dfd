"""What a person means who answers a question in few words."""

from collections.abc import Sequence
from difflib import get_close_matches

from egg_tasks.client import Json
from models.errors import Unprocessable
from models.foreign import flat
from models.states import DecisionStatus

ALIKE = 0.5
"""How much of an option a slip of it must have, as difflib measures."""


def option(asked: Json, given: str) -> str:
    """The option of a decision that is meant by its text, its number or its beginning, in capitals or not.

    Where own words are allowed, and where nobody is asked any more, it is for the server to say.
    `Unprocessable` when it is none of the options, or may be several.
    """
    options: Sequence[str] = asked.get("options") or []
    same = [each for each in options if each == given] or [each for each in options if _like(each, given)]
    if same or asked.get("is_free") or asked["status"] != DecisionStatus.PENDING:
        return same[0] if same else given
    if given.strip().isdecimal() and 1 <= int(given) <= len(options):
        return options[int(given) - 1]
    begun = [each for each in options if given.strip() and _plain(each).startswith(_plain(given))]
    if len(begun) == 1:
        return begun[0]
    raise _refused(asked, given, begun)


def choices(asked: Json) -> str:
    """The options with their numbers, in a sentence."""
    numbered = [f'{number} "{flat(each)}"' for number, each in enumerate(asked.get("options") or [], 1)]
    own = ["your own words"] if asked.get("is_free") else []
    return " or ".join(filter(None, (", ".join(numbered), *own)))


def _refused(asked: Json, given: str, begun: Sequence[str]) -> Unprocessable:
    said = f'"{flat(given)}"'
    if begun:
        meant = ", ".join(f'"{flat(each)}"' for each in begun)
        return Unprocessable(f"{said} may be {meant}: say more of it, or its number")
    plain = {_plain(each): each for each in asked["options"]}
    near = get_close_matches(_plain(given), plain, n=1, cutoff=ALIKE)
    hint = f'; did you mean "{flat(plain[near[0]])}"?' if near else ""
    return Unprocessable(
        f"{said} is no answer to decision {asked['id']}{hint or '.'} It may be: {choices(asked)}"
    )


def _like(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
