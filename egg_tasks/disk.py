"""Whether the disk has room. When it has none we wait, and nobody but the disk is to blame."""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from models.errors import NoRoom
from models.sizes import in_words

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
WORDS = ("No space left on device", "Disk quota exceeded")
"""How other programs say it, in English as all of ours are told to."""

LEAST_MEGABYTES = 32
"""With less nothing new is started: PostgreSQL's log of changes alone grows by 16 MB at a time."""

LEAST_FILES = 100


def free_bytes(place: Path) -> int:
    """How much is free for us on the disk of *place*, or of where it would be."""
    found = os.statvfs(next(path for path in (place, *place.parents) if path.exists()))
    return found.f_bavail * found.f_frsize


def shortage(place: Path) -> str | None:
    """The sentence for a disk without room for new work at *place* (or where it would be), else None.

    A quota shows in no figure: a little is written to see.
    """
    with suppress(OSError):
        existing = next(path for path in (place, *place.parents) if path.exists())
        found = os.statvfs(existing)
        room = found.f_bavail * found.f_frsize
        # Some file systems count no files.
        has_files = not found.f_files or found.f_favail >= LEAST_FILES
        if room >= LEAST_MEGABYTES * 10**6 and has_files and not _refuses(existing):
            return None
        free = f"{in_words(room)} free" if has_files else f"{found.f_favail} files more may be made"
        return f"no room on the disk of {place}: {free}; everything goes on by itself when there is room"
    return None


def need(place: Path) -> None:
    """Raise `NoRoom` for a disk without room for new work at *place*."""
    if short := shortage(place):
        raise NoRoom(short) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_full(error: OSError) -> bool:
    """Whether it was for want of room that the operating system refused something."""
    return error.errno in FULL


def _refuses(directory: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as probe:
            probe.write(bytes(64 * 1024))
    except OSError as error:
        return is_full(error)
    return False
