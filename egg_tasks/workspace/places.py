"""Directories made once: whole or not at all, whoever makes them and whenever they are killed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import Unavailable


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold an exclusive lock on a file; the file stays behind. Gives the lock's descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def made_once(target: Path) -> Iterator[Path | None]:
    """Give a directory to fill, which becomes *target* at the end; None when *target* is there already.

    What an earlier try left half-made is removed. Raises `Unavailable` when the disk refuses.
    """
    partial = target.with_name(f"{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock")):
            if target.exists():
                yield None
                return
            if partial.exists():
                shutil.rmtree(partial)
            partial.mkdir()
            yield partial
            partial.rename(target)
    except OSError as error:
        raise Unavailable(f"{target} cannot be made: {error.strerror or error}") from error
