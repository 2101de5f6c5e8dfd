"""Keeping what an agent left uncommitted. It reads the clone and writes only the pipeline's repository.

The files as they lie are what is kept. Content that was staged and then changed or deleted again in the
work tree is not: it stays in the clone, which is not removed. What was staged by force although ignored
is kept, as long as its file is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from egg_tasks.workspace.clones import Evidence, inspect, is_directory
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.history import commit_tree, contains, move_ref, tip, tree_of
from egg_tasks.workspace.names import branch_ref, salvage_branch, work_branch
from egg_tasks.workspace.staging import Staging
from egg_tasks.workspace.versions import changed, fetch, scratch, staged
from models.errors import Conflict, Unavailable


@dataclass(frozen=True)
class Salvage:
    """One clone to be saved: whose it is and where its work belongs."""

    git: Git
    pipeline_id: str
    role: str
    run_id: UUID
    clone: Path
    branch: str

    def save(self) -> str:
        """Commit what is not committed and bring it to the role's branch; the commit that holds all of it.

        Where the branch has moved away from the clone's head, the work is kept on a salvage branch of
        its own instead. Files that cannot be saved are named in the commit's message. To do it again gives
        the same commit: who died before noting it finds it.
        """
        evidence, tree = self._evidence()
        with scratch(self.clone) as directory:
            staging = Staging.of(self.git, evidence, directory)
            paths = _to_save(self.git, evidence, staging.git, directory)
            found = staging.write(paths) if paths else tree
        is_clean = found == tree
        held = (self._held(branch, evidence.head, found, is_clean=is_clean) for branch in self._branches())
        if commit := next(filter(None, held), None):
            return commit
        if is_clean:
            return self._keep(evidence.head)
        message = f"WIP: auto-commit uncommitted work ({self.role}) [{self.pipeline_id}]\n{staging.report()}"
        return self._keep(commit_tree(self.git, found, evidence.head, message=message))

    def _held(self, branch: str, head: str, tree: str, *, is_clean: bool) -> str | None:
        """The commit by which a branch holds the clone's head and what was not committed, if it does."""
        at = tip(self.git, branch)
        if at is None or not contains(self.git, at, head):
            return None
        if is_clean:
            return head
        return at if tree_of(self.git, at) == tree else None

    def _evidence(self) -> tuple[Evidence, str]:
        """The clone as it is, and its head's tree."""
        index = self.clone.with_name("clone.index")
        try:
            evidence = inspect(self.clone, repository=self.git.directory)
            return evidence, fetch(self.git, evidence).tree
        except Conflict:
            # Its commits cannot be read; its files can, on top of what was taken last.
            index.unlink(missing_ok=True)
            last = tip(self.git, self.branch) or tip(self.git, work_branch(self.pipeline_id))
            if last is None:
                raise
            return Evidence(self.clone, last), tree_of(self.git, last)

    def _branches(self) -> Iterator[str]:
        yield self.branch
        number = 1
        while tip(self.git, kept := salvage_branch(self.pipeline_id, self.run_id, number=number)):
            yield kept
            number += 1
        yield kept

    def _keep(self, commit: str) -> str:
        for branch in self._branches():
            at = tip(self.git, branch)
            if (at is None or contains(self.git, commit, at)) and move_ref(
                self.git, branch_ref(branch), commit, expected=at
            ):
                return commit
        raise Unavailable(f"{self.branch} moves while {self.clone} is salvaged: salvage it again")


def _to_save(git: Git, evidence: Evidence, looking: Git, directory: Path) -> list[bytes]:
    try:
        paths = changed(looking) | staged(git, evidence, directory)
    except Conflict:
        paths = changed(looking)
    nested = {path for path in paths if path.endswith(b"/")}
    inside = (found for one in nested for found in _nested_files(evidence.clone, one, looking, directory))
    return sorted((paths - nested) | set(inside))


def _nested_files(clone: Path, nested: bytes, looking: Git, directory: Path) -> Iterator[bytes]:
    """Files of a repository inside the clone, which git would save as a mere commit id."""
    root = clone / nested.decode("utf-8", "surrogateescape")
    if not is_directory(root):
        return
    # Seen from inside, with an empty index, its files are simply new ones.
    within = looking.within(root, index=directory / "nested", excludes=looking.excludes)
    for path in changed(within):
        if path.endswith(b"/"):
            yield from _nested_files(clone, nested + path, looking, directory)
        else:
            yield nested + path
