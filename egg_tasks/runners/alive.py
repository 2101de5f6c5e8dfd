"""The file `alive` of a run: its time is its shim's last tick, each line a time without one.

In a run of an earlier release it is the agent's to write: what is no regular file, too long, or of the
future says nothing.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from egg_tasks.foreign_files import LARGEST_ALIVE, open_plain
from models.schemas.silence import BEGINNING, Silence

NAME = "alive"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(directory: Path, *, now: datetime) -> Sequence[Silence]:
    """When a run's shim did not tick, in order, the last of it from its last tick until *now*.

    Nothing for a shim that has never ticked: those of the first layout do not.
    """
    file = open_plain(directory, NAME, limit=LARGEST_ALIVE)
    if file is None:
        return ()
    try:
        with file:
            ticked_at = _moment(os.fstat(file.fileno()).st_mtime)
            pairs = [line.split(b" ") for line in file.read(LARGEST_ALIVE).splitlines()]
        silences = [Silence(_moment(float(began)), _moment(float(ended))) for began, ended in pairs]
    except (OSError, ValueError, OverflowError):
        return ()
    return (*silences, Silence(ticked_at, now)) if ticked_at <= now else ()


def _moment(seconds: float) -> datetime:
    """A time as the file system and the shim count it; 0 is before anything."""
    return EPOCH + timedelta(seconds=seconds) if seconds else BEGINNING
