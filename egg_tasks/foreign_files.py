"""Files in directories an agent may write: how they are read, asked after and written, and in no other way.

Whatever lies there may be a pipe, a link, a directory, a device, as large as the file system allows or
none of ours. So nothing here follows a link below *root*, waits, or takes more than it was asked to; what is
no plain file within its limit is unreadable, which is the value None and never an exception.
"""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath
from typing import IO

KIB, MIB = 1 << 10, 1 << 20
LARGEST_IDENTITY = 256
LARGEST_OUTCOME = 16 * KIB
LARGEST_TOLD = 64 * KIB
LARGEST_SPEC = 4 * MIB
"""Argv and environment, of which Linux lets a process have 6 MB at the very most."""
LARGEST_ALIVE = 64 * KIB
LARGEST_REF = KIB
"""A HEAD, or a branch in a file of its own: a commit, or the name of another."""
LARGEST_PACKED_REFS = 256 * MIB
"""Those of a few million branches; they are read piece by piece."""
LARGEST_TEXT = MIB
"""A configuration, or patterns of ignored files, attributes or a sparse checkout."""
LARGEST_RECORD = 4 * MIB
"""What we noted of a clone, the paths in conflict among it."""
LARGEST_INDEX = 128 * MIB
"""That of a repository of a million files."""

READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Not blocking, so that a pipe in its place holds nobody up."""

ENTERING = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
OVERWRITING = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
DRAFTING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def open_plain(root: Path, name: str, *, limit: int | None = None) -> IO[bytes] | None:
    """Open the regular file *name* below *root*; None if it is none, or has more than *limit* bytes."""
    try:
        with parent(root, name) as (directory, last):
            descriptor = os.open(last, READING, dir_fd=directory)
    except (OSError, ValueError):
        return None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and (limit is None or found.st_size <= limit):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def read_plain(root: Path, name: str, *, limit: int) -> bytes | None:
    """What the regular file *name* below *root* holds, or None if it is none, or more than *limit* bytes."""
    file = open_plain(root, name, limit=limit)
    if file is None:
        return None
    try:
        with file:
            # Python makes room for all that it is asked for; and the file may grow meanwhile.
            content = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    except OSError:
        return None
    return content if len(content) <= limit else None


def pieces(file: IO[bytes], *, limit: int) -> Iterator[bytes]:
    """What an open file holds, up to *limit* bytes, a piece at a time."""
    while limit > 0 and (piece := file.read(min(MIB, limit))):
        limit -= len(piece)
        yield piece


def is_holding(root: Path, name: str, marks: Iterable[bytes], *, limit: int) -> bool | None:
    """Whether a regular file holds one of these; None if it is none, or has more than *limit* bytes."""
    file = open_plain(root, name, limit=limit)
    if file is None:
        return None
    asked, end = tuple(marks), b""
    with file:
        for piece in pieces(file, limit=limit):
            together = end + piece
            if any(mark in together for mark in asked):
                return True
            end = together[-max(map(len, asked)) :]
    return False


def is_plain(root: Path, name: str) -> bool:
    """Whether *name* below *root* is a regular file, in directories of its own."""
    return _find(root, name) is not None


def is_there(root: Path, name: str) -> bool:
    """Whether there is anything of this name: a mark counts, whatever it is."""
    return os.path.lexists(root / name)


def is_directory(path: Path) -> bool:
    """Whether a path is a directory itself, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def written_at(root: Path, name: str) -> datetime | None:
    """When a regular file that holds anything was last written; None if it is none, or of no known year."""
    found = _find(root, name)
    try:
        return datetime.fromtimestamp(found.st_mtime, UTC) if found and found.st_size else None
    except (OSError, ValueError, OverflowError):
        return None


def write_plain(root: Path, name: str, content: str | bytes, *, owner: int = -1) -> None:
    """Write a 0600 file in *root* whole or not at all, in the place of whatever is there.

    It is ours, or *owner*'s. A directory there is moved aside. `OSError` when the disk refuses or *root* is
    no directory of its own.
    """
    directory = os.open(root, ENTERING | os.O_NOFOLLOW)
    draft = f".{name}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, DRAFTING, 0o600, dir_fd=directory), "wb") as file:
            try:
                os.fchown(file.fileno(), owner, owner)
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                _rename(draft, name, directory)
            except OSError:
                os.unlink(draft, dir_fd=directory)
                raise
    finally:
        os.close(directory)


def overwrite_plain(root: Path, name: str, content: bytes) -> None:
    """Put other content into the regular file *name* below *root*, which stays the file it is, and as old.

    Half of it may be there when we die: for files that nobody has found yet. `OSError` where it is none.
    """
    with parent(root, name) as (directory, last):
        was = os.stat(last, dir_fd=directory, follow_symlinks=False)
        with os.fdopen(os.open(last, OVERWRITING, dir_fd=directory), "wb") as file:
            file.write(content)
        os.utime(last, ns=(was.st_atime_ns, was.st_mtime_ns), dir_fd=directory, follow_symlinks=False)


def _rename(draft: str, name: str, directory: int) -> None:
    move = partial(os.rename, src_dir_fd=directory, dst_dir_fd=directory)
    try:
        move(draft, name)
    except IsADirectoryError:
        move(name, f"{draft}.aside")
        move(draft, name)


def make_directory(path: Path) -> None:
    """Make a 0700 directory, and those above it, unless it is there; what else has its name makes way.

    `OSError` when the disk refuses.
    """
    if not is_directory(path):
        # Another may be making it at the same time.
        with suppress(FileNotFoundError, IsADirectoryError):
            path.unlink()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _find(root: Path, name: str) -> os.stat_result | None:
    try:
        with parent(root, name) as (directory, last):
            found = os.stat(last, dir_fd=directory, follow_symlinks=False)
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


@contextmanager
def parent(root: Path, name: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the directory *name* is in, where nobody can put a link any more, and its last part.

    *root* itself is ours to name and may be a link; nothing on the way from there to *name* may.
    """
    *folders, last = PurePath(name).parts
    if PurePath(name).is_absolute() or ".." in (*folders, last):
        raise ValueError(name)
    directory = os.open(root, ENTERING)
    try:
        for folder in folders:
            inner = os.open(folder, ENTERING | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = inner
        yield directory, last
    finally:
        os.close(directory)
