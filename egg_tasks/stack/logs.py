"""Logs of a stack's processes: files they append to, kept short by the supervisor while they run."""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

LONGEST = 10 * 2**20
KEPT = 4
"""Older pieces beside each log: `<name>.1` is the youngest."""


def opened(path: Path) -> IO[bytes]:
    """Open a log to append to, so that it may be cut under whoever writes it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return path.open("ab")


def trim(directory: Path, *, longest: int = LONGEST) -> None:
    """Move what is in logs that have grown long to their older pieces; without room for it, forget it.

    Who writes keeps its file open, so that it is copied and cut; a line that comes meanwhile may be lost.
    """
    for path in directory.glob("*.log"):
        with suppress(OSError):
            if path.stat().st_size > longest:
                with suppress(OSError):
                    _set_aside(path, longest=longest)
                os.truncate(path, 0)


def tail(path: Path, *, lines: int = 8) -> str:
    """Return the last lines of a log; empty if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8192))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def _set_aside(path: Path, *, longest: int) -> None:
    """Make the end of a log its youngest older piece; one that cannot be whole is not left."""
    for number in range(KEPT, 1, -1):
        with suppress(FileNotFoundError):
            older(path, number - 1).replace(older(path, number))
    try:
        with path.open("rb") as log, older(path, 1).open("wb") as piece:
            end = os.fstat(log.fileno()).st_size
            at = max(0, end - longest)
            while at < end and (copied := os.sendfile(piece.fileno(), log.fileno(), at, end - at)):
                at += copied
    except OSError:
        older(path, 1).unlink(missing_ok=True)
        raise


def older(path: Path, number: int) -> Path:
    """Where the *number*th older piece of a log is; 1 is the youngest."""
    return path.with_name(f"{path.name}.{number}")
