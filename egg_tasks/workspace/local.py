"""Pipelines' repositories and agents' clones on this machine's disk."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from egg_tasks import disk, repository_places, run_places, settings_file
from egg_tasks.foreign_files import is_directory, written_at
from egg_tasks.workspace import (
    bounds,
    caches,
    checkouts,
    clearing,
    foreign_links,
    history,
    included,
    lfs,
    nested,
    obstacles,
    present_base,
    repositories,
    safety,
    snapshots,
    strays,
)
from egg_tasks.workspace.clones import inspect
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.names import (
    branch_ref,
    checked_commit,
    checked_role_branch,
    taken_ref,
)
from egg_tasks.workspace.reach import Reach, of_settings
from egg_tasks.workspace.salvage import Salvage
from egg_tasks.workspace.versions import fetch, judged, received, refuse_missing, refuse_uncommitted
from models.errors import Conflict, NotFound, TookTooLong, Unavailable, Unprocessable
from models.foreign import one_line
from models.git_names import result_branch, work_branch
from models.schemas.git import Branches, Clone, Conflicted, Merged, Saved, Strays, TakenHead

DEFAULT_MERGE_SECONDS = 120
LOOK_LIMIT = timedelta(seconds=30)
MERGE_LIMIT = timedelta(seconds=DEFAULT_MERGE_SECONDS)
STRAYS_LIMIT = timedelta(minutes=5)


class GitWorkspace:
    """`Workspace` over git: repositories where `repository_places` says, clones where `run_places` does.

    Safe for several threads and processes at once. No repository is ever packed or pruned.
    """

    def __init__(
        self, home: Path, *, look_limit: timedelta = LOOK_LIMIT, merge_limit: timedelta = MERGE_LIMIT
    ) -> None:
        self._home = home.absolute()
        self._look_limit = look_limit
        self._merge_limit = merge_limit

    def repository(self, pipeline_id: str) -> Path:
        """Where the pipeline's bare repository is, made or not."""
        return repository_places.repository(self._home, pipeline_id)

    def prepare(self, pipeline_id: str, *, source: str, base: str | None, owner: str = "") -> str:
        """Make the pipeline's bare repository and work branch unless they are there; the base commit.

        Another machine's is reached with what `[fetch]` of settings.toml names, read anew each time.
        """
        repository = self.repository(pipeline_id)
        reach = self._reach()
        commit = repositories.prepare(
            repository, pipeline_id, source=source, base=base, reach=reach, owner=owner
        )
        lfs.adopt(Git(repository), commit, source=source)
        return commit

    def fetch_base(self, pipeline_id: str, *, source: str, base: str | None) -> str:
        """Fetch what *base* stands for now, and keep it; that commit."""
        return present_base.fetch(self._git(pipeline_id), source=source, base=base, reach=self._reach())

    def clone_of(self, run_id: UUID) -> Path:
        """Where the clone of a role's run is, made or not."""
        return run_places.clone(self._home, run_id)

    def open_clone(self, pipeline_id: str, *, role: str, run_id: UUID, work_commit: str) -> Clone:
        """Make the run's clone; if it is there, leave it alone and return it as it was made."""
        git, target = self._git(pipeline_id), self.clone_of(run_id)
        return checkouts.open_clone(git, target, pipeline_id=pipeline_id, role=role, work_commit=work_commit)

    def open_checkout(self, pipeline_id: str, *, run_id: UUID, commit: str) -> Path:
        """Make (or find) a checkout of *commit* beside where the run's clone would be."""
        given = run_places.given(self._home, run_id)
        return checkouts.open_checkout(self._git(pipeline_id), given, commit=commit)

    def make_ready(
        self,
        run_id: UUID,
        *,
        source: str,
        directory: Path,
        inside: Path,
        include: Sequence[str],
        begins_from: Sequence[str],
        paths: Sequence[str],
    ) -> None:
        """Copy into a clone or checkout what its set-up begins from, once."""
        with caches.alone(self._home, run_id, "ready") as lock:
            if lock is not None:
                included.copy(source, directory, include)
                caches.bring(
                    self._home,
                    begins_from,
                    run_id=run_id,
                    directory=directory,
                    inside=inside,
                    paths=paths,
                    lock=lock,
                )

    def cache_key(self, said: Sequence[str], pipeline_id: str, *, commit: str, files: Sequence[str]) -> str:
        """By what the cache of a set-up is known."""
        return caches.key(self._git(pipeline_id), said, commit=commit, files=files)

    def keep_cache(
        self, key: str, *, run_id: UUID, directory: Path, inside: Path, paths: Sequence[str]
    ) -> None:
        """Keep what a set-up that succeeded has made, once, unless something is kept under the key."""
        with caches.alone(self._home, run_id, "kept") as lock:
            if lock is not None:
                caches.keep(self._home, key, directory=directory, inside=inside, paths=paths, lock=lock)

    def take(self, pipeline_id: str, *, run_id: UUID, clone: Path) -> TakenHead:
        """Fetch the clone's head and keep it; `Conflict` if something is uncommitted or unreadable."""
        git = self._git(pipeline_id)
        with self._look(clone):
            evidence = inspect(clone, repository=git.directory)
            with received(
                git, evidence, evidence.head, objects=evidence.objects, limit=self._look_limit
            ) as taken:
                refuse_uncommitted(git, evidence)
            nested.refuse_uncommitted(git, evidence)
            foreign_links.refuse(git, evidence, work=work_branch(pipeline_id), reaching=self._reach)
            strays.refuse(git, evidence)
            refuse_missing(git, evidence)
            history.move_ref(git, taken_ref(run_id, taken.commit), taken.commit, expected=None)
        return taken

    def last_moved_at(self, clone: Path) -> datetime | None:
        """When the log of the clone's head was last written to; None where there is none."""
        return written_at(clone, ".git/logs/HEAD")

    def head(self, pipeline_id: str, *, clone: Path) -> str:
        """Fetch the clone's head without keeping it (nothing is pruned, so it stays); its id."""
        git = self._git(pipeline_id)
        with self._look(clone):
            evidence = inspect(clone, repository=git.directory)
            return fetch(git, evidence, limit=self._look_limit).commit

    def ancestors(self, pipeline_id: str, *, commit: str, among: Iterable[str]) -> frozenset[str]:
        """Those of *among* that *commit* contains."""
        with bounds.within(self._merge_limit):
            return history.ancestors(self._git(pipeline_id), commit, among)

    def tree(self, pipeline_id: str, *, commit: str) -> str:
        """The tree of a commit."""
        return history.tree_of(self._git(pipeline_id), commit)

    def trees(self, pipeline_id: str, *, commits: Iterable[str]) -> Mapping[str, str]:
        """The trees of commits, those that are not there left out."""
        return history.trees(self._git(pipeline_id), commits)

    def merged_tree(self, pipeline_id: str, *, ours: str, theirs: str) -> str | Conflicted:
        """The tree that merging two commits gives, or the paths on which they do not go together."""
        with bounds.within(self._look_limit):
            return history.merge_tree(self._git(pipeline_id), ours, theirs)

    def merge(self, pipeline_id: str, *, work: str, version: str, message: str) -> Merged | Conflicted:
        """Build the merge of *version* into *work* without moving a branch."""
        git = self._git(pipeline_id)
        try:
            with bounds.within(self._merge_limit):
                return history.merge(git, work=work, version=version, message=message)
        except TookTooLong as error:
            raise TookTooLong(
                f"{error.message}: a person may allow more than EGG_MERGE_SECONDS ({DEFAULT_MERGE_SECONDS})"
            ) from error

    def find_branch(self, pipeline_id: str, *, branch: str) -> str | None:
        """The commit a branch of the pipeline's repository is at, or None when there is no such branch."""
        branch_ref(branch)
        return history.tip(self._git(pipeline_id), branch)

    def move_branch(self, pipeline_id: str, *, branch: str, commit: str, expected: str | None) -> bool:
        """Move a branch if it is where it is *expected*; whether it is at *commit* now."""
        git = self._git(pipeline_id)
        if expected is not None:
            checked_commit(expected)
        history.tree_of(git, commit)
        return history.move_ref(git, branch_ref(branch), commit, expected=expected)

    def salvage(
        self, pipeline_id: str, *, role: str, run_id: UUID, clone: Path, branch: str, is_refused: bool = False
    ) -> Saved | None:
        """Keep what the clone has; what became of it, or None if the clone is gone."""
        checked_role_branch(pipeline_id, role)
        branch_ref(branch)
        with clearing.kept_in_place(self._home, run_id), judged(clone):
            if not is_directory(clone) and not self.repository(pipeline_id).is_dir():
                return None
            git = self._git(pipeline_id)
            salvage = Salvage(git, pipeline_id, role, run_id, clone, branch, is_refused)
            return salvage.save() if is_directory(clone) else salvage.recovered()

    def snapshot(self, pipeline_id: str, *, role: str, run_id: UUID, clone: Path, known: str) -> str | None:
        """Keep what a live clone holds unless that is what it held when this said *known*."""
        checked_role_branch(pipeline_id, role)
        disk.need(self._home)
        with (
            clearing.kept_in_place(self._home, run_id),
            bounds.within(self._look_limit),
            judged(clone),
        ):
            if not is_directory(clone):
                return known
            obstacles.refuse(clone)
            git = self._git(pipeline_id)
            return snapshots.take(
                git, pipeline_id=pipeline_id, role=role, run_id=run_id, clone=clone, known=known
            )

    def drop_snapshot(self, pipeline_id: str, *, run_id: UUID) -> None:
        """Forget the last snapshot of a run that is over; it need not be there."""
        if self.repository(pipeline_id).is_dir():
            snapshots.drop(self._git(pipeline_id), run_id)

    def save_strays(self, pipeline_id: str, *, run_id: UUID, clone: Path) -> Strays:
        """Keep what the clone has committed elsewhere than in its head; what was kept, and what was not."""
        git = self._git(pipeline_id)
        try:
            with clearing.kept_in_place(self._home, run_id), bounds.within(STRAYS_LIMIT), judged(clone):
                if not is_directory(clone):
                    return Strays()
                if any(each.hides_commits or not each.is_in_root for each in obstacles.obstacles(clone)):
                    return Strays(left=("commits on other branches",))
                evidence = inspect(clone, repository=git.directory)
                fetch(git, evidence)
                return strays.save(git, evidence, pipeline_id=pipeline_id, run_id=run_id)
        except (Conflict, TookTooLong) as error:
            why = one_line(error.details.get("reason") or error.message)
            return Strays(left=(f"commits on other branches ({why})",))

    def keep(self, run_id: UUID) -> bool:
        """Put the clone of a run that is over aside as `runs/<run>/kept`; whether it has one."""
        return clearing.keep(self._home, run_id)

    def discard(self, run_id: UUID) -> None:
        """Remove what the agent of a run that is over was given, but its prompt."""
        clearing.discard(self._home, run_id)

    def forget(self, run_id: UUID) -> None:
        """Remove all that the agent of a run that is over was given."""
        clearing.forget(self._home, run_id)

    def list_branches(self, pipeline_id: str, *, source: str) -> Branches:
        """The branches a pipeline made, and which of them the repository it came from holds as well."""
        directory = self.repository(pipeline_id)
        if not directory.is_dir():
            return Branches(why=f"it has no repository at {directory}")
        return safety.list_branches(Git(directory), source=source, below=result_branch(pipeline_id))

    def put_strange_aside(self, pipeline_id: str, *, owner: str) -> str | None:
        """Rename a repository of the pipeline's name that was made for another; its new name."""
        return clearing.put_strange_aside(self.repository(pipeline_id), owner=owner)

    def discard_pipeline(self, pipeline_id: str) -> None:
        """Remove a pipeline's repository and the homes of its roles."""
        clearing.discard_pipeline(self._home, pipeline_id)

    def tidy(self, *, timeout: timedelta) -> bool:
        """Take off the disk what was removed; whether nothing of it is left."""
        return clearing.tidy(self._home, seconds=timeout.total_seconds())

    @contextmanager
    def _look(self, clone: Path) -> Iterator[None]:
        """Look at a clone while its agent waits; what git cannot look at refuses, before and afterwards."""
        with bounds.within(self._look_limit), judged(clone):
            obstacles.refuse(clone)
            try:
                yield
            except TookTooLong as error:
                # Perhaps it was put there meanwhile.
                obstacles.refuse(clone)
                raise TookTooLong(
                    f"{error.message}: where so much is to be read, say READY after every few commits, or"
                    " have a person allow more than EGG_LOOK_SECONDS (30)"
                ) from error

    def _reach(self) -> Reach:
        try:
            return of_settings(settings_file.read(self._home))
        except Unprocessable as error:
            raise Unavailable(error.message) from error

    def _git(self, pipeline_id: str) -> Git:
        directory = self.repository(pipeline_id)
        if not directory.is_dir():
            raise NotFound(f"The pipeline {pipeline_id} has no repository at {directory}: prepare it first")
        return Git(directory)
