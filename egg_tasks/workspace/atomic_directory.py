"""Directories made once: whole or not at all, whoever makes them and whenever they are killed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import Conflict, Unavailable


@contextmanager
def locked(path: Path, *, waits: bool = True, is_shared: bool = False) -> Iterator[int]:
    """Hold a lock on a file, exclusive or shared; the file stays behind. Gives the lock's descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind if waits else kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"{path} is held: somebody is at it already") from error
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def made_once(target: Path, *, waits: bool = True) -> Iterator[Path | None]:
    """Give a directory to fill, which becomes *target* at the end; None when *target* is there already.

    What an earlier try left half-made is removed. Raises `Unavailable` when the disk refuses, and
    `Conflict` when somebody makes it just now and this one does not wait.
    """
    partial = target.with_name(f"{target.name}.partial")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock"), waits=waits):
            if target.exists():
                yield None
                return
            if partial.exists():
                shutil.rmtree(partial)
            # A repository may be private, whatever the umask says.
            partial.mkdir(mode=0o700)
            yield partial
            partial.rename(target)
    except OSError as error:
        raise Unavailable(f"{target} cannot be made: {error.strerror or error}") from error
