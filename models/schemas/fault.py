"""What is wrong with a document, and where: every fault at once, never just the first."""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from models.errors import Unprocessable
from models.masking import masked

Path = tuple[str | int, ...]

MAX_LENGTH = 500
MAX_FAULTS = 200
"""So many are named: nobody mends more at a time."""


class Fault(NamedTuple):
    """One thing that is wrong, at a path of keys and positions from the document's root."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{spell(self.path)}: {self.message}" if self.path else self.message


class Faulty(Unprocessable):
    """A document is refused.

    `details["faults"]` names each fault's `path` as people write it, its `message`, and `at`, the
    path's steps, so that whoever holds the file can find the line.
    """

    @classmethod
    def of(cls, faults: Iterable[Fault], *, unnamed: int = 0) -> "Faulty":
        """Build the error of at least one fault; of *unnamed* more it only says how many they are."""
        listed: list[dict[str, object]] = [
            {
                "path": _printable(spell(fault.path)),
                "message": _printable(fault.message),
                "at": [_printable(step) if isinstance(step, str) else step for step in fault.path],
            }
            for fault in faults
        ]
        first = f"{listed[0]['path']}: {listed[0]['message']}".removeprefix(": ")
        rest = len(listed) - 1 + unnamed
        more = {0: "", 1: " (and 1 more fault)"}.get(rest, f" (and {rest} more faults)")
        return cls(first + more, {"faults": listed} | ({"unnamed": unnamed} if unnamed else {}))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults, in the order they were found."""
        listed = cast("list[dict[str, object]]", self.details["faults"])
        return tuple(
            Fault(tuple(cast("list[str | int]", fault["at"])), str(fault["message"])) for fault in listed
        )


def _printable(text: str) -> str:
    """Return *text* cut short and without what UTF-8 cannot write: a fault can always be sent and shown."""
    text = masked(text)
    short = text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"
    return short.encode("utf-8", "backslashreplace").decode()


def spell(path: Path) -> str:
    """Write a path as people do: `phases[0].roles[1].needs`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def meant(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean …?)` when *word* is close to one of *known*, else nothing."""
    close: Sequence[str] = difflib.get_close_matches(word[:64], list(known), n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""
