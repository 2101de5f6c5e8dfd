"""What set-ups of clones have made and later ones begin from: whole or not there at all, and never shared.

caches/KEY/PATHS…    as they were in the clone whose set-up succeeded
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path, PurePath
from uuid import UUID

import structlog

from egg_tasks import disk, removal, run_places
from egg_tasks.foreign_files import (
    MIB,
    is_directory,
    is_plain,
    is_there,
    make_directory,
    overwrite_plain,
    read_plain,
    write_plain,
)
from egg_tasks.ports import KIN
from egg_tasks.workspace.atomic_directory import locked, made_once
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.names import checked_commit
from models.errors import Conflict, Unavailable, Unprocessable

log = structlog.get_logger()

CACHES = "caches"
LIMIT = timedelta(minutes=10)
MOST_BYTES = 10 << 30
"""Of disk that a cache may take; blocks that its files share are counted once."""
MADE = ".egg-made.json"
"""In a cache: where it was made, and which of its files say so."""
NONE_FOUND = 1
MOST_NAMING, LARGEST_NAMING, LARGEST_MADE = 20_000, 16 * MIB, 32 * MIB
BROUGHT = "cache"
"""Where a cache is copied to first, in the directory of its set-up: the clone has it whole or not at all."""


def key(git: Git, said: Sequence[str], *, commit: str, files: Sequence[str]) -> str:
    """What a cache is known by: what is *said* of its set-up, and the files as a commit of ours has them.

    Not as the clone has them: set-ups, and agents, write what they like there.
    """
    try:
        listed = (
            git.run("ls-tree", "-z", "--full-tree", checked_commit(commit), "--", *files) if files else b""
        )
    except GitFailed as error:
        raise Unprocessable(f"the files of `key` cannot be read: {str(error).splitlines()[0]}") from error
    return hashlib.sha256(json.dumps([*said, listed.hex()]).encode()).hexdigest()


@contextmanager
def alone(home: Path, run_id: UUID, what: str) -> Iterator[int | None]:
    """Do a step of a set-up once, while nobody else does: a lock's descriptor, or None where it was done.

    A worker that was taken for dead is waited for, and whatever program it has given the lock to: so nobody
    is at work in a clone any more when its agent, or its set-up, has been started there.
    """
    own = home / run_places.SHIMS / str(run_id)
    try:
        make_directory(own)
        with locked(own / f"{what}.lock") as lock:
            if is_there(own, what):
                yield None
                return
            yield lock
            write_plain(own, what, "")
    except OSError as error:
        raise Unavailable(f"{own} cannot be written: {error.strerror or error}") from error


def bring(
    home: Path,
    names: Sequence[str],
    *,
    run_id: UUID,
    directory: Path,
    inside: Path,
    paths: Sequence[str],
    lock: int,
) -> None:
    """Copy the first of these caches that is there into a clone; what is there already stays.

    *inside* is the clone as its set-up finds it: files that name the one they were made in name it then.

    One that cannot be copied is done without, unless the disk is full.
    """
    cache = next((home / CACHES / name for name in names if is_directory(home / CACHES / name)), None)
    if cache is None:
        return
    given = run_places.given(home, run_id)
    try:
        removal.put_away(given, BROUGHT)
        make_directory(given)
        _copy(cache, given / BROUGHT, lock)
        _move_in(given / BROUGHT, inside)
        for path in paths:
            if is_there(given / BROUGHT, path) and _is_free(directory, path):
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (given / BROUGHT / path).rename(directory / path)
        # When it was last in use.
        os.utime(cache)
    except (OSError, ValueError, Unavailable) as error:
        disk.need(home)
        log.warning("cache.not_brought", setup=str(run_id), cache=cache.name, error=str(error))
    finally:
        with suppress(OSError):
            removal.put_away(given, BROUGHT)


def keep(home: Path, name: str, *, directory: Path, inside: Path, paths: Sequence[str], lock: int) -> None:
    """Keep what a set-up has made in a clone, unless there is a cache of this name; its kin goes then.

    `Unprocessable` for more than `MOST_BYTES`.
    """
    found = [path for path in paths if _is_way(directory, path) and _is_own(directory, path)]
    if sum(removal.size(directory / path) for path in found) > MOST_BYTES:
        raise Unprocessable(f"it has made more than {MOST_BYTES >> 30} GiB, which is not kept for later ones")
    disk.need(home)
    with suppress(Conflict), made_once(home / CACHES / name, waits=False) as partial:
        if partial is not None:
            _fill(partial, found, directory=directory, inside=inside, lock=lock)
    _put_kin_away(home / CACHES, name)


def _fill(partial: Path, found: Sequence[str], *, directory: Path, inside: Path, lock: int) -> None:
    for path in found:
        (partial / path).parent.mkdir(parents=True, exist_ok=True)
        _copy(directory / path, partial / path, lock)
    naming = _naming(partial, inside, lock)
    write_plain(partial, MADE, json.dumps({"inside": str(inside), "naming": naming}))


def _put_kin_away(caches: Path, name: str) -> None:
    """Have a cache be the only one of its kin: each other lock file of an agent's makes another one."""
    kin, is_kin, _ = name.partition(KIN)
    try:
        for each in caches.glob(f"{kin}{KIN}*") if is_kin and is_directory(caches / name) else ():
            if each.name != name and is_directory(each) and not each.name.endswith(".partial"):
                removal.put_away(caches, each.name)
    except OSError as error:
        raise Unavailable(f"a former cache cannot be removed: {error.strerror or error}") from error


def _naming(partial: Path, inside: Path, lock: int) -> list[str]:
    """The text files of a cache that name the clone it was made in, as scripts of virtual environments do."""
    words = ("grep", "-rlIZF", "-D", "skip", "--", str(inside), ".")
    listed = _done(words, lock, cwd=partial, passes=frozenset({0, NONE_FOUND})).split(b"\0")
    found = [os.fsdecode(name.removeprefix(b"./")) for name in listed if name]
    if len(found) > MOST_NAMING:
        raise Unprocessable(f"{len(found)} files of it name {inside}, so that it is of no use elsewhere")
    return found


def _move_in(brought: Path, inside: Path) -> None:
    """Have the files of a cache that name the clone it was made in name this one."""
    made = json.loads(read_plain(brought, MADE, limit=LARGEST_MADE) or b"{}")
    before = made.get("inside", str(inside))
    if before == str(inside):
        return
    for name in made["naming"]:
        content = read_plain(brought, name, limit=LARGEST_NAMING)
        if content is not None:
            overwrite_plain(brought, name, content.replace(os.fsencode(before), os.fsencode(inside)))


def _is_own(directory: Path, path: str) -> bool:
    """Whether a path is a directory or a file itself, and no link to one."""
    return is_directory(directory / path) or is_plain(directory, path)


def _is_way(directory: Path, path: str) -> bool:
    """Whether no link is on the way to a path, nor anything else that is no directory."""
    above = [*PurePath(path).parents][:-1]
    return all(is_directory(directory / each) or not is_there(directory, str(each)) for each in above)


def _is_free(directory: Path, path: str) -> bool:
    return _is_way(directory, path) and not is_there(directory, path)


def _copy(source: Path, target: Path, lock: int) -> None:
    """Copy a tree or a file as it is, links as links; blocks are shared where the file system can."""
    words = ("cp", "-a", "--reflink=auto", "--no-target-directory", "--", str(source), str(target))
    _done(words, lock)


def _done(
    words: Sequence[str], lock: int, *, cwd: Path | None = None, passes: Collection[int] = frozenset({0})
) -> bytes:
    """Run a program; it holds the lock as long as it lives, which may be longer than we do. What it said."""
    try:
        done = subprocess.run(
            words,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT.total_seconds(),
            pass_fds=(lock,),
            cwd=cwd,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"`{words[0]}` did not come to its end within {LIMIT.seconds // 60} min") from error
    if done.returncode not in passes:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise Unavailable(f"a cache cannot be copied: {said}")
    return done.stdout
