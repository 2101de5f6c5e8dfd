"""The file `alive` of a run's directory: its time is its shim's last tick, each line a time without one.

The directory is the agent's to write in: what is no regular file, too long, or of the future says nothing.
"""

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from models.schemas.silence import BEGINNING, Silence

NAME = "alive"
LONGEST = 64 << 10
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(directory: Path, *, now: datetime) -> Sequence[Silence]:
    """When a run's shim did not tick, in order, the last of it from its last tick until *now*.

    Nothing for a shim that has never ticked: those of the first layout do not.
    """
    try:
        # Not blocking, so that a pipe in its place holds nobody up.
        descriptor = os.open(directory / NAME, FLAGS)
    except OSError:
        return ()
    try:
        found = os.fstat(descriptor)
        ticked_at = _moment(found.st_mtime)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LONGEST or ticked_at > now:
            return ()
        lines = os.read(descriptor, LONGEST).decode("ascii").splitlines()
        pairs = [line.split(" ") for line in lines]
        silences = [Silence(_moment(float(began)), _moment(float(ended))) for began, ended in pairs]
    except (OSError, ValueError, OverflowError):
        return ()
    finally:
        os.close(descriptor)
    return (*silences, Silence(ticked_at, now))


def _moment(seconds: float) -> datetime:
    """A time as the file system and the shim count it; 0 is before anything."""
    return EPOCH + timedelta(seconds=seconds) if seconds else BEGINNING
