"""What is left of runs and pipelines that are over: put aside for a person, or removed."""

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

from egg_tasks import removal, repository_places, run_places, worktrees
from egg_tasks.foreign_files import (
    MIB,
    is_directory,
    is_there,
    make_directory,
    parent,
    read_plain,
    write_plain,
)
from egg_tasks.repository_places import REPOSITORIES
from egg_tasks.run_places import CHECKOUT, CLONE, KEPT, KEPT_ROOM, PROMPT, ROLES, RUNS, SHIMS
from egg_tasks.workspace.atomic_directory import locked
from egg_tasks.workspace.caches import CACHES
from egg_tasks.workspace.repositories import is_of
from models.errors import Conflict, Unavailable

FOLDERS = (RUNS, SHIMS, REPOSITORIES, ROLES, CACHES, "tmp")
LARGEST_PROMPT = MIB
OF_THE_AGENT = frozenset({CLONE, KEPT, "home", "tmp", f"{CLONE}.partial", f"{CLONE}.lock"})
"""What an agent had where an earlier release laid a run out: its log lies there too, and stays."""


@contextmanager
def kept_in_place(home: Path, run_id: UUID) -> Iterator[None]:
    """Have nobody clear a run's clone away while it is read; several may read it."""
    with ExitStack() as stack:
        with _translated(run_places.given(home, run_id)):
            stack.enter_context(_locked(home, run_id, is_shared=True))
        yield


def keep(home: Path, run_id: UUID) -> bool:
    """Put a run's clone aside as `kept`, whatever it is; whether there is one, put aside then or before.

    Repositories that its agent left beside it, or moved it to, are as good as one: they stay as they are.
    With them stays what the run has had as its TMPDIR, as `kept.tmp`, where a worktree may be in it.
    """
    given = run_places.given(home, run_id)
    with _translated(given), _alone_at(home, run_id):
        if not is_directory(given):
            return False
        if worktrees.is_in(given / CLONE, run_places.room(given)):
            _keep_room(given)
        if is_there(given, CLONE):
            with parent(home / RUNS, f"{run_id}/{CLONE}") as (directory, _):
                if is_there(given, KEPT):
                    # An agent's: ours comes to be when there is no clone any more.
                    _rename(KEPT, f"{KEPT}.{secrets.token_hex(4)}", directory)
                _rename(CLONE, KEPT, directory)
        return any(is_there(given, name) for name in (KEPT, KEPT_ROOM)) or bool(
            worktrees.beside_it(given / CLONE)
        )


def discard(home: Path, run_id: UUID) -> None:
    """Remove what a run's agent was given, but for its prompt."""
    given = run_places.given(home, run_id)
    with _translated(given), _alone_at(home, run_id):
        _put_room_away(given)
        if run_places.ours(given) == given and is_directory(given):
            with os.scandir(given) as entries:
                names = [each.name for each in entries]
            for name in names:
                if name in OF_THE_AGENT or name.startswith(CHECKOUT):
                    removal.put_away(home / RUNS, f"{run_id}/{name}")
            return
        prompt = read_plain(given, PROMPT, limit=LARGEST_PROMPT) if is_directory(given) else None
        removal.put_away(home / RUNS, str(run_id))
        if prompt:
            make_directory(given)
            write_plain(given, PROMPT, prompt)


def forget(home: Path, run_id: UUID) -> None:
    """Remove all that a run's agent was given."""
    given = run_places.given(home, run_id)
    with _translated(given):
        _put_room_away(given)
        removal.put_away(home / RUNS, str(run_id))


def discard_pipeline(home: Path, pipeline_id: str) -> None:
    """Remove a pipeline's repository, and what belongs to it, and the homes of its roles.

    `Conflict` while somebody makes the repository: it would be made all the same, in the next one's place.
    """
    repository = repository_places.repository(home, pipeline_id)
    with _translated(home):
        removal.put_away(home / ROLES, pipeline_id)
        if not is_directory(repository.parent):
            return
        with locked(repository.with_name(f"{repository.name}.lock"), waits=False):
            for suffix in ("", ".partial", ".lock"):
                removal.put_away(repository.parent, f"{repository.name}{suffix}")


def put_strange_aside(repository: Path, *, owner: str) -> str | None:
    """Rename a repository that was made for another *owner*, and what is held for it; its new name.

    What a deleted pipeline left, or one of another database: its branches stay until a person removes it by
    that name. `Conflict` while somebody makes it.
    """
    if not is_directory(repository):
        return None
    with _translated(repository), locked(repository.with_name(f"{repository.name}.lock"), waits=False):
        if not is_directory(repository) or is_of(repository, owner):
            return None
        name = f"{repository_places.name_of(repository)[:48]}-left-{secrets.token_hex(4)}"
        repository.rename(repository.with_name(f"{name}{repository_places.SUFFIX}"))
        return name


def tidy(home: Path, *, seconds: float) -> bool:
    """Take what was removed off the disk; whether nothing of it is left."""
    until = time.monotonic() + seconds
    with _translated(home):
        done = [removal.empty(folder, seconds=until - time.monotonic()) for folder in _folders(home)]
    return all(done)


def _folders(home: Path) -> set[Path]:
    """Where something that was removed may wait for its end."""
    return {*(home / name for name in FOLDERS), run_places.rooms(home)}


def _keep_room(given: Path) -> None:
    """Bring the run's TMPDIR to what is kept; it stays where it is where that is another disk."""
    room = run_places.room(given)
    try:
        with parent(given, KEPT_ROOM) as (directory, name):
            if is_there(given, name):
                _rename(name, f"{name}.{secrets.token_hex(4)}", directory)
            os.rename(room, name, dst_dir_fd=directory)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.ENOENT}:
            raise


def _put_room_away(given: Path) -> None:
    room = run_places.room(given)
    removal.put_away(room.parent, room.name)


def _rename(name: str, new: str, directory: int) -> None:
    os.rename(name, new, src_dir_fd=directory, dst_dir_fd=directory)


@contextmanager
def _alone_at(home: Path, run_id: UUID) -> Iterator[None]:
    """Hold a run's clone; `Unavailable` while somebody reads it, who would take what goes for deleted."""
    try:
        with _locked(home, run_id, is_shared=False):
            yield
    except Conflict as error:
        raise Unavailable(f"the clone of agent run {run_id} is being saved just now") from error


@contextmanager
def _locked(home: Path, run_id: UUID, *, is_shared: bool) -> Iterator[None]:
    """Hold the lock of a run's clone, which no agent has in its hands; one never launched has none."""
    own = home / SHIMS / str(run_id)
    if not is_directory(own):
        yield
        return
    with locked(own / f"{CLONE}.lock", waits=is_shared, is_shared=is_shared):
        yield


@contextmanager
def _translated(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{place} cannot be cleared away: {error.strerror or error}") from error
