"""The end of what a program wrote, as far as it is kept with its run and told to people.

It is a program's words, whatever they look like: shown like all text of others, never as ours.
"""

import re
from itertools import islice
from uuid import UUID

from models.masking import without_secrets

MOST_LINES = 10
LONGEST_LINE = 240
"""So many characters of a line are kept."""
LOOKED_AT = 1000
"""So many characters of a line are looked at for secrets before it is cut."""
CUT = "…"

BEFORE_A_PATH = frozenset(" \t\"'`(=:[<,\u2018\u201c")

_INSIDE = re.compile(r"(?:clone|checkout-\w+)/")
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")


def of(log: str, *, run_id: UUID) -> str:
    """The last lines of *log* that say something: without colours, secrets masked, each line bounded."""
    written = (line for line in reversed(log.replace("\x00", "").split("\n")) if not line.isspace())
    lines = (_line(line, run_id) for line in written if line)
    kept = list(islice((line for line in lines if line.strip()), MOST_LINES))
    return "\n".join(reversed(kept))


def last_line(tail: str) -> str:
    """The last line of a tail, or nothing."""
    return tail.rpartition("\n")[2]


def lines(tail: str) -> tuple[str, ...]:
    """The lines of a tail."""
    return tuple(tail.split("\n")) if tail else ()


def from_within(text: str, *, run_id: UUID) -> str:
    """*text* with the paths into the run's own clone or checkout as they are in the repository."""
    marker, at = f"/runs/{run_id}/", 0
    while (at := text.find(marker, at)) >= 0:
        inside = _INSIDE.match(text, at + len(marker))
        if inside is None:
            at += 1
            continue
        begin = at
        while begin and text[begin - 1] not in BEFORE_A_PATH:
            begin -= 1
        text, at = text[:begin] + text[inside.end() :], begin
    return text


def _line(line: str, run_id: UUID) -> str:
    """One line as a terminal would leave it: of what was written over itself, what came last."""
    written = line.rstrip("\r\n\t ").rpartition("\r")[2][:LOOKED_AT]
    plain = from_within(without_secrets(_SEQUENCE.sub("", written)), run_id=run_id)
    return plain if len(plain) <= LONGEST_LINE else plain[: LONGEST_LINE - 1] + CUT
