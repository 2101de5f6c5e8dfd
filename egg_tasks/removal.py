"""Directories in which agents had a hand: how large they are, and how they are removed, and in no other way.

What is to go is first moved, in one step, to where nobody looks (`put_away`), and emptied there (`empty`),
whenever and by whomever. No link is followed, no mount entered, no depth or number of files is too much, and
a directory that its owner has closed is opened. What cannot be removed stays, and is no error.
"""

import itertools
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from egg_tasks.foreign_files import ENTERING, is_directory, make_directory, parent

GOING = ".going"
"""Where it is put, beside what stays."""

LOOKING = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW
BLOCK = 512
"""Bytes of the blocks that a file system counts in, wherever that is."""
TRIES = 3
DEEPEST = 100


def put_away(root: Path, name: str) -> bool:
    """Move whatever is called *name* below *root* out of sight; whether there was anything.

    *root* is ours to name; nothing on the way from there to *name* may be a link. `OSError` when the disk or
    somebody's mount refuses.
    """
    if not root.is_dir():
        return False
    make_directory(root / GOING)
    _open_way(root, name)
    try:
        with parent(root, name) as (directory, last):
            _open(last, directory)
            going = os.open(root / GOING, ENTERING | os.O_NOFOLLOW)
            try:
                os.rename(last, secrets.token_hex(12), src_dir_fd=directory, dst_dir_fd=going)
            finally:
                os.close(going)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_going(root: Path) -> bool:
    """Whether something waits below *root* to be removed for good."""
    try:
        with os.scandir(root / GOING) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def empty(root: Path, *, seconds: float) -> bool:
    """Remove what was put away below *root*; whether nothing is left, after *seconds* at most.

    Safe for several at once. What nobody may remove, and what is somebody's mount, stays where it is.
    """
    if not is_directory(root / GOING):
        return True
    until = time.monotonic() + seconds
    bin_ = os.open(root / GOING, ENTERING | os.O_NOFOLLOW)
    try:
        for _ in range(TRIES):
            if not is_going(root) or not _empty(bin_, until):
                break
    finally:
        os.close(bin_)
    return not is_going(root)


def open_closed(path: Path, *, seconds: float) -> None:
    """Let ourselves into all directories from *path* on that their owner has closed, while it may go on.

    As far as that goes in *seconds*, and no deeper than directories can be held open; no link is followed.
    """
    until = time.monotonic() + seconds
    with suppress(OSError), _looked_into(os.fspath(path.parent)) as (above, _):
        _open(path.name, above)
        mount = _mount(above)
        for here, folders, _, directory in os.fwalk(path.name, dir_fd=above, follow_symlinks=False):
            if time.monotonic() > until:
                return
            if here.count("/") >= DEEPEST:
                folders.clear()
            for name in folders:
                with suppress(OSError):
                    _open(name, directory, mount)


def size(path: Path, *, but: frozenset[str] = frozenset()) -> int:
    """The bytes of disk that all below *path* takes; entries of *path* called *but* are passed over.

    A file with several names is counted once. What cannot be looked into counts as nothing.
    """
    if not is_directory(path):
        with suppress(OSError):
            return path.lstat().st_blocks * BLOCK
        return 0
    total, known, mount = 0, set[tuple[int, int]](), -1
    waiting = [os.fspath(path)]
    while waiting:
        here = waiting.pop()
        try:
            with _looked_into(here) as (directory, found):
                mount = mount if mount >= 0 else _mount(directory)
                if _mount(directory) != mount:
                    continue
                total += found.st_blocks * BLOCK
                with os.scandir(directory) as entries:
                    for entry in entries:
                        if here == os.fspath(path) and entry.name in but:
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(f"{here}/{entry.name}")
                            continue
                        one = entry.stat(follow_symlinks=False)
                        if one.st_nlink == 1 or (one.st_dev, one.st_ino) not in known:
                            total += one.st_blocks * BLOCK
                        if one.st_nlink > 1:
                            known.add((one.st_dev, one.st_ino))
        except OSError:
            continue
    return total


@contextmanager
def _looked_into(path: str) -> Iterator[tuple[int, os.stat_result]]:
    directory = os.open(path, ENTERING | os.O_NOFOLLOW)
    try:
        yield directory, os.fstat(directory)
    finally:
        os.close(directory)


def _empty(root: int, until: float) -> bool:
    """Remove what is in a directory; whether there was time for all of it.

    What lies deeper is moved up first, so that no depth is too much.
    """
    prefix, mount = f"{secrets.token_hex(8)}-", _mount(root)
    numbers, waiting = itertools.count(), [""]
    while waiting:
        name = waiting.pop()
        with suppress(OSError), _entered(name, root, mount) as directory, os.scandir(directory) as entries:
            for entry in entries:
                if time.monotonic() > until:
                    return False
                if not entry.is_dir(follow_symlinks=False):
                    with suppress(OSError):
                        os.unlink(entry.name, dir_fd=directory)
                elif directory != root or not entry.name.startswith(prefix):
                    waiting += _moved_up(entry.name, directory, root, f"{prefix}{next(numbers)}", mount)
        if name:
            with suppress(OSError):
                os.rmdir(name, dir_fd=root)
    return True


def _moved_up(name: str, directory: int, root: int, free: str, mount: int) -> list[str]:
    """Move a directory up to *root* under a name that is free, which is returned unless it must stay."""
    with suppress(OSError):
        _open(name, directory, mount)
        os.rename(name, free, src_dir_fd=directory, dst_dir_fd=root)
        return [free]
    return []


@contextmanager
def _entered(name: str, root: int, mount: int) -> Iterator[int]:
    if not name:
        yield root
        return
    directory = os.open(name, ENTERING | os.O_NOFOLLOW, dir_fd=root)
    try:
        # It may have been put there meanwhile.
        if _mount(directory) == mount:
            yield directory
        else:
            raise PermissionError(name)
    finally:
        os.close(directory)


def _open_way(root: Path, name: str) -> None:
    """Open the directories on the way to *name* that an agent of ours has closed."""
    for folder in list(Path(name).parents)[-2::-1]:
        with suppress(OSError), parent(root, str(folder)) as (directory, last):
            _open(last, directory)


def _open(name: str, directory: int, mount: int | None = None) -> None:
    """Let ourselves into a directory, itself and not what a link leads to; `OSError` for another mount."""
    descriptor = os.open(name, LOOKING, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISDIR(found.st_mode):
            return
        if mount is not None and _mount(descriptor) != mount:
            raise PermissionError(name)
        if found.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            # By its descriptor: a name could be a link by now.
            Path(f"/proc/self/fd/{descriptor}").chmod(stat.S_IRWXU)
    finally:
        os.close(descriptor)


def _mount(descriptor: int) -> int:
    """The number of the mount a descriptor is in: a directory that is bound in has the same device."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("mnt_id:"))
