"""Whose fault it is that an attendance fails: its run's, which is counted, or nobody's, which is not."""

import errno
from collections.abc import Iterator
from pathlib import Path

from egg_tasks import disk
from models.errors import DatabaseAway, EngineAway, JustAwake, KeyTaken, NoRoom, TooNew
from models.foreign import one_line

NOBODYS = (DatabaseAway, EngineAway, JustAwake, KeyTaken, NoRoom, TooNew)
OURS = frozenset({errno.EMFILE, errno.ENFILE})
"""Descriptors: no file that an agent makes uses up ours."""
LONGEST = 1000
"""Characters of an error that are told."""


def is_nobodys(error: Exception, *, home: Path) -> bool:
    """Whether all runs of this machine lack what was lacking here.

    Of what a full disk does little says so, and what an agent made can say so anywhere: the disk is asked.
    """
    if isinstance(error, NOBODYS):
        return True
    numbers = {one.errno for one in _chain(error) if isinstance(one, OSError)}
    return bool(numbers & OURS) or disk.shortage(home) is not None


def shortened(error: Exception) -> str:
    """What an error says, on one line of a bounded length."""
    return one_line(str(error)[:LONGEST] or type(error).__name__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
