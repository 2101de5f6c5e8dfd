"""The directory a stack lives in: made, found writable and roomy, with a place for its sockets."""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from egg_tasks.stack.run_as import closed_parent
from models.errors import Unavailable, Unprocessable
from models.sizes import in_words

LOOKED_AT = 100
NEW_MEGABYTES = 256
"""A new cluster takes 40 MB, a copy of PostgreSQL's programs 40 MB, its log of changes grows by 16 MB."""

OLD_MEGABYTES = 48
OURS_ALONE = ("logs", "caches", "repos", "runs", "shims", "roles", "tmp", "settings.toml")
"""What no other user passes or reads, though as root the home itself lets PostgreSQL's account pass."""

LONGEST_SOCKET_NAME = "postgres/.s.PGSQL.5432.lock"
SOCKET_PATH_BYTES = 107
"""What sockaddr_un holds, less the closing zero."""
SHELL_SIGNS = frozenset('"$`\\')
"""What a shell does not take as it is between double quotes."""
SEPARATORS = frozenset(',"\\')
"""What no list of PostgreSQL's holds in a path: of hosts in a URL, of directories in its settings."""
OURS = frozenset(
    {"stack.lock", "stack.json", "settings.toml", "postgres", "runs", "repos", "roles", "agent-tools"}
)
"""One of these is in a home of ours, whatever came first."""


def prepare(home: Path) -> None:
    """Make *home* and what every part of the stack needs in it.

    `Unprocessable` when it is not ours to write in (or, as root, PostgreSQL's account cannot reach it),
    `Unavailable` when the disk is full.
    """
    begin(home)
    with translated(home):
        if os.geteuid() == 0:
            home.chmod(0o711)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
        for path in (home / name for name in OURS_ALONE):
            if path.exists():
                path.chmod(path.stat().st_mode & 0o700)
        # mkdir alone succeeds on a disk that is full
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(bytes(64 * 1024))
    if os.geteuid() == 0 and (closed := closed_parent(home)):
        raise Unprocessable(
            f"the data directory {home} cannot be reached by others than root, as whom PostgreSQL runs, "
            f"because {closed} is closed to others: set EGG_HOME to another place, such as /var/lib/egg"
        )
    need_room(home)


def begin(home: Path) -> None:
    """Have *home* there, closed to others, if it is ours or empty; errors as those of `prepare`."""
    with translated(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_strange(home)


def _refuse_strange(home: Path) -> None:
    """Refuse a directory that is in use for something else: `/` or `/tmp`, whose modes we would change."""
    names = {path.name for path in islice(home.iterdir(), LOOKED_AT)} - {"lost+found", "logs"}
    if names and not any((home / name).exists() for name in OURS):
        raise Unprocessable(
            f"the data directory {home} is in use for something else (it holds {min(names)!r}): "
            "set EGG_HOME to a directory of its own"
        )


def bytes_needed(home: Path) -> int:
    """Return how much free disk the servers of *home* need to start."""
    return (OLD_MEGABYTES if (home / "postgres").exists() else NEW_MEGABYTES) * 10**6


def need_room(home: Path) -> None:
    """Raise `Unavailable` when too little disk is left for the servers to start."""
    wanted = bytes_needed(home)
    free = shutil.disk_usage(home).free
    if free < wanted:
        raise _full(home, f"{in_words(free)} free, {in_words(wanted)} needed")


@contextmanager
def translated(home: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence about *home*."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _full(home, error.strerror) from error
        raise Unprocessable(
            f"the data directory {home} cannot be used ({error.strerror}: {error.filename or home}): "
            "make it writable for this user, or set EGG_HOME to another place"
        ) from error


def sockets(home: Path) -> Path:
    """Return the directory of the stack's sockets: in *home*, or in /tmp where that is too long or odd."""
    directory = home / "sockets"
    with translated(directory):
        is_long = len(os.fsencode(directory / LONGEST_SOCKET_NAME)) > SOCKET_PATH_BYTES
        if is_long or not SEPARATORS.isdisjoint(str(directory)):
            directory = _short(directory)
        elif directory.is_symlink():  # of a home that was moved here
            directory.unlink()
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return directory


def programs(home: Path) -> Path:
    """Return the place of a copy of PostgreSQL's programs: in *home*, or in /tmp where its name is odd.

    initdb asks a shell for the server beside it, by its path between double quotes.
    """
    directory = home / "programs"
    with translated(directory):
        if not SHELL_SIGNS.isdisjoint(str(directory)):
            return _short(directory)
        if directory.is_symlink():  # of a home that was moved here
            directory.unlink()
    return directory


def _short(link: Path) -> Path:
    """Return the directory in /tmp that *link* leads to, made anew if it is gone, another's or a copy's.

    Its name cannot be guessed, so that nobody takes it before us.
    """
    prefix = f"/tmp/egg-{hashlib.sha256(os.fsencode(link.parent)).hexdigest()[:8]}-"  # noqa: S108  never opened by itself
    with suppress(OSError):
        found = link.readlink()
        state = found.lstat()
        if str(found).startswith(prefix) and stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid():
            return found
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir="/"))
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(made)
    new.replace(link)
    return made


def _full(home: Path, why: str | None) -> Unavailable:
    return Unavailable(
        f"the disk of the data directory {home} is full ({why}): "
        "free some space, or set EGG_HOME to another disk"
    )
