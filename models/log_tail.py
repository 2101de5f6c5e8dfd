"""The end of what a program wrote, as far as it is kept with its run and told to people.

It is a program's words, whatever they look like: shown like all text of others, never as ours.
"""

import re
from itertools import islice

from models.masking import without_secrets

MOST_LINES = 10
LONGEST_LINE = 240
"""So many characters of a line are kept."""
LOOKED_AT = 4000
"""So many characters of a line are looked at for secrets before it is cut."""
CUT = "…"

_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")


def of(log: str) -> str:
    """The last lines of *log* that say something: without colours, secrets masked, each line bounded."""
    lines = (_line(line) for line in reversed(log.replace("\x00", "").split("\n")))
    kept = list(islice((line for line in lines if line.strip()), MOST_LINES))
    return "\n".join(reversed(kept))


def last_line(tail: str) -> str:
    """The last line of a tail, or nothing."""
    return tail.rpartition("\n")[2]


def lines(tail: str) -> tuple[str, ...]:
    """The lines of a tail."""
    return tuple(tail.split("\n")) if tail else ()


def _line(line: str) -> str:
    """One line as a terminal would leave it: of what was written over itself, what came last."""
    written = line.rstrip("\r\n\t ").rpartition("\r")[2][:LOOKED_AT]
    plain = without_secrets(_SEQUENCE.sub("", written))
    return plain if len(plain) <= LONGEST_LINE else plain[: LONGEST_LINE - 1] + CUT
