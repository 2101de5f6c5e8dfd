"""A repository fetched before its pipeline exists, aside, so that nobody else's is ever touched."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from egg_tasks import repository_places
from egg_tasks.repository_places import repository
from egg_tasks.workspace import repositories
from egg_tasks.workspace.atomic_directory import locked, made_once
from egg_tasks.workspace.reach import Reach
from models.errors import Conflict, Unavailable


@dataclass(frozen=True)
class Incoming:
    """A repository that is whole, and nobody's yet."""

    home: Path
    directory: Path
    commit: str
    """What the base stands for."""

    def keep(self, pipeline_id: str) -> None:
        """Make it the repository of a pipeline that is ours and has none; one that is there stays."""
        with made_once(repository(self.home, pipeline_id)) as partial:
            if partial:
                partial.rmdir()
                self.directory.rename(partial)


def refuse_taken(home: Path, pipeline_id: str) -> None:
    """Raise `Conflict` if there is a repository of that name: some pipeline's, of whatever database."""
    if repository(home, pipeline_id).exists():
        raise Conflict(
            f"there is a pipeline {pipeline_id} already, or its repository {repository(home, pipeline_id)}; "
            f"choose another name, or run that one again: egg pipeline rerun {pipeline_id}"
        )


@contextmanager
def fetched(home: Path, *, source: str, base: str | None, reach: Reach) -> Iterator[Incoming]:
    """Copy *source* aside; what is not kept by the end is removed, as is what a killed process left.

    Raises what `repositories.copy` raises, and `Unavailable` when the disk refuses.
    """
    folder = repository_places.incoming(home)
    directory = folder / uuid4().hex
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(folder)
        lock = _lock(directory)
        with locked(lock):
            directory.mkdir(mode=0o700)
            try:
                commit = repositories.copy(directory, source=source, base=base, reach=reach)
                yield Incoming(home, directory, commit)
            finally:
                _remove(directory)
    except OSError as error:
        raise Unavailable(f"{directory} cannot be made: {error.strerror or error}") from error


def _sweep(folder: Path) -> None:
    """Remove what belongs to nobody alive: a directory is made and removed under its lock alone."""
    for directory in (path for path in folder.iterdir() if path.is_dir()):
        try:
            with locked(_lock(directory), waits=False):
                _remove(directory)
        except Conflict:
            continue


def _lock(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    _lock(directory).unlink(missing_ok=True)
