"""Directories of a run whose paths are short enough for sockets in them, wherever EGG_HOME is.

What sockaddr_un holds is 107 bytes, and programs put long names behind HOME and TMPDIR: Python's
multiprocessing `/pymp-xxxxxxxx/listener-xxxxxxxx`, gpg-agent `/.gnupg/S.gpg-agent.browser`.
"""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from models.errors import Unavailable

SOCKET_BYTES = 107
ROOM = 60
"""Bytes for what comes behind TMPDIR: test runners put directories of their own there first."""

ROOM_AT_HOME = 32
SHORTEST = Path("/tmp")  # noqa: S108  our directory there is closed, and its owner is checked


def of_run(directory: Path) -> Path:
    """Return the short directory of the run in *directory*: beside the runs, else in /tmp. Not made."""
    return _short(directory.parent.parent, directory.name.replace("-", "")[-12:])


def shortened(home: Path, directory: Path) -> Path:
    """Return a path to *directory* with room for a socket: its own, else a link's, which is made.

    `Unavailable` when the link's place is somebody else's.
    """
    if _has_room(directory, ROOM_AT_HOME):
        return directory
    link = _short(home, hashlib.sha256(os.fsencode(directory)).hexdigest()[:12])
    prepare(link)
    with suppress(FileNotFoundError):
        if link.readlink() == directory:
            return link
        link.unlink()
    with suppress(FileExistsError):
        link.symlink_to(directory)
    return link


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


def _short(home: Path, name: str) -> Path:
    near = home / "tmp" / name
    return near if _has_room(near, ROOM) else SHORTEST / f"egg-{os.geteuid()}" / name


def _has_room(path: Path, room: int) -> bool:
    return len(os.fsencode(path)) + room <= SOCKET_BYTES
