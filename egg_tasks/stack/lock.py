"""The lock of a stack's home: whoever holds it is the only starter and stopper there."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from egg_tasks.stack import home as homes
from models.errors import Conflict

PATIENCE_SECONDS = 1.0
"""Somebody who only looks whether the lock is held holds it himself for a moment."""


@contextmanager
def locked(home: Path) -> Iterator[Callable[[], bool]]:
    """Hold the home's lock, with our process id in its file; `Conflict` when somebody else does.

    What it gives says whether this is still the home's lock: not once the home was removed.
    """
    with homes.translated(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(_path(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, home)
        with homes.translated(home):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield lambda: _is_at(descriptor, home)
    finally:
        os.close(descriptor)


def holder(home: Path) -> int | None:
    """Return the process that holds the home's lock; None when nobody does."""
    try:
        with _path(home).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = _path(home).read_text().strip()
        return int(written) if written.isdecimal() else 0
    except OSError:
        return None
    return None


def taken_at(home: Path) -> datetime | None:
    """When the home's lock was last taken; None if it never was."""
    try:
        return datetime.fromtimestamp(_path(home).stat().st_mtime, UTC)
    except OSError:
        return None


def _acquire(descriptor: int, home: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise Conflict(f"a stack already runs in {home}: stop it with `egg down`") from error
            time.sleep(0.02)
        else:
            return


def _is_at(descriptor: int, home: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), _path(home).lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # nobody knows
        return True


def _path(home: Path) -> Path:
    return home / "stack.lock"
