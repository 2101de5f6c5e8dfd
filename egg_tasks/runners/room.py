"""Directories of a run whose paths are short enough for sockets in them, wherever EGG_HOME is.

What sockaddr_un holds is 107 bytes, and programs put long names behind HOME and TMPDIR: Python's
multiprocessing `/pymp-xxxxxxxx/listener-xxxxxxxx`, gpg-agent `/.gnupg/S.gpg-agent.browser`.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egg_tasks.foreign_files import ENTERING, is_directory
from egg_tasks.run_places import ROLES, has_room, rooms, short
from models.errors import Unavailable

ROOM_AT_HOME = 32


def shortened(home: Path, directory: Path) -> Path:
    """Return a path to *directory* with room for a socket: its own, else a link's, which is made.

    `Unavailable` when the link's place is somebody else's.
    """
    if has_room(directory, ROOM_AT_HOME):
        return directory
    link = short(home, hashlib.sha256(os.fsencode(directory)).hexdigest()[:12])
    prepare(link)
    with _alone_in(link.parent):
        if _target(link) != directory:
            link.unlink(missing_ok=True)
            link.symlink_to(directory)
    return link


def tidy(home: Path) -> None:
    """Remove the short paths to directories of roles that are gone."""
    folder = rooms(home)
    if not is_directory(folder):
        return
    # Who makes such a path has made the directory before, and waits for this.
    with _alone_in(folder):
        for link in folder.iterdir():
            target = _target(link)
            if target is not None and target.is_relative_to(home / ROLES) and not is_directory(target):
                link.unlink(missing_ok=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, ENTERING)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def prepare(path: Path) -> None:
    """Make the directory a short path is in, closed to others; `Unavailable` if it is somebody else's."""
    parent = path.parent
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = parent.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
        raise Unavailable(
            f"{parent}, where agents' sockets belong, is somebody else's: remove it, "
            "or set EGG_HOME to a shorter path"
        )
    parent.chmod(0o700)
