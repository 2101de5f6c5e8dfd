"""What set-ups of clones have made and later ones begin from: whole or not there at all, and never shared.

caches/KEY/PATHS…    as they were in the clone whose set-up succeeded
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path, PurePath
from uuid import UUID

from egg_tasks import removal, run_places
from egg_tasks.foreign_files import is_directory, is_plain, is_there, make_directory
from egg_tasks.workspace.atomic_directory import made_once
from egg_tasks.workspace.git import GitFailed
from egg_tasks.workspace.sources import Visit
from models.errors import Conflict, Unavailable, Unprocessable

CACHES = "caches"
LIMIT = timedelta(minutes=10)
BROUGHT = "cache"
"""Where a cache is copied to first, in the directory of its set-up: the clone has it whole or not at all."""


def key(said: Sequence[str], directory: Path, files: Sequence[str]) -> str:
    """What a cache is known by: what is *said* of its set-up, and the files as they are committed."""
    try:
        listed = Visit(directory).run("ls-tree", "-z", "--full-tree", "HEAD", "--", *files) if files else b""
    except GitFailed as error:
        raise Unprocessable(f"the files of `key` cannot be read: {str(error).splitlines()[0]}") from error
    return hashlib.sha256(json.dumps([*said, listed.hex()]).encode()).hexdigest()


def bring(home: Path, name: str, *, run_id: UUID, directory: Path, paths: Sequence[str]) -> None:
    """Copy a cache into a clone, if there is one; what is there already stays."""
    cache, given = home / CACHES / name, run_places.given(home, run_id)
    if not is_directory(cache):
        return
    try:
        removal.put_away(given, BROUGHT)
        make_directory(given)
        _copy(cache, given / BROUGHT)
        for path in paths:
            if is_there(given / BROUGHT, path) and _is_free(directory, path):
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (given / BROUGHT / path).rename(directory / path)
        # When it was last in use.
        os.utime(cache)
    except OSError as error:
        raise Unavailable(f"{cache} cannot be copied: {error.strerror or error}") from error


def keep(home: Path, name: str, *, directory: Path, paths: Sequence[str]) -> None:
    """Keep what a set-up has made in a clone, unless there is a cache of this name."""
    with suppress(Conflict), made_once(home / CACHES / name, waits=False) as partial:
        if partial is None:
            return
        for path in paths:
            if not _is_way(directory, path) or not (
                is_directory(directory / path) or is_plain(directory, path)
            ):
                continue
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            _copy(directory / path, partial / path)


def _is_way(directory: Path, path: str) -> bool:
    """Whether no link is on the way to a path, nor anything else that is no directory."""
    above = [*PurePath(path).parents][:-1]
    return all(is_directory(directory / each) or not is_there(directory, str(each)) for each in above)


def _is_free(directory: Path, path: str) -> bool:
    return _is_way(directory, path) and not is_there(directory, path)


def _copy(source: Path, target: Path) -> None:
    """Copy a tree or a file as it is, links as links; blocks are shared where the file system can."""
    words = ("cp", "-a", "--reflink=auto", "--no-target-directory", "--", str(source), str(target))
    try:
        subprocess.run(
            words,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT.total_seconds(),
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise Unavailable(f"{source} cannot be copied: {said}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{source} was not copied within {LIMIT.seconds // 60} min") from error
