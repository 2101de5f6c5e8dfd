"""Keeping what an agent left uncommitted. It reads the clone and writes only the pipeline's repository.

The files as they lie are what is kept. What was staged and then changed again is saved as it was changed;
of what was staged and then deleted nothing can be, so that it is named and the clone stays. What was staged
by force although ignored is kept.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog

from egg_tasks.workspace import bounds, lfs, snapshots, weights
from egg_tasks.workspace.changes import Change, filters
from egg_tasks.workspace.checkouts import made_as
from egg_tasks.workspace.clones import Evidence, giants, inspect, unreadable
from egg_tasks.workspace.foreign_links import put_back
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import (
    commit_at,
    commit_tree,
    contains,
    move_ref,
    readable,
    tip,
    tree_of,
)
from egg_tasks.workspace.names import branch_ref, taken_ref
from egg_tasks.workspace.obstacles import obstacles
from egg_tasks.workspace.staging import MOST_REPORTED, SAVE_LIMIT, Staging, to_save
from egg_tasks.workspace.versions import bring, fetch, scratch
from egg_tasks.workspace.view import View, agents_view, own_view
from models.errors import Conflict, TookTooLong, Unavailable
from models.foreign import one_line
from models.git_names import salvage_branch, work_branch
from models.schemas.git import CloneSnapshot, Saved

log = structlog.get_logger()

LAST_LIMIT = timedelta(minutes=2)


@dataclass(frozen=True)
class Salvage:
    """One clone to be saved: whose it is and where its work belongs."""

    git: Git
    pipeline_id: str
    role: str
    run_id: UUID
    clone: Path
    branch: str
    is_refused: bool
    """Whether READY was refused for what is not committed: it then goes to a branch of its own."""

    def save(self) -> Saved:
        """Commit what is not committed and bring it to the role's branch, or set it aside.

        Where the branch has moved away from the clone's head, the work is kept on a salvage branch of
        its own instead. Files that cannot be saved are named in the commit's message. To do it again gives
        the same commit: who died before noting it finds it.
        """
        try:
            with bounds.within(SAVE_LIMIT):
                blocked = obstacles(self.clone)
                evidence = self._evidence(is_readable=not any(each.hides_commits for each in blocked))
                if all(each.is_in_root for each in blocked):
                    return self._saved(evidence, [each.path for each in blocked])
            # git would be at them for ever: nothing but the commits can be saved.
            return self._commits_alone([each.path for each in blocked])
        except (TookTooLong, Conflict, GitFailed) as error:
            log.warning("salvage.cut_short", run=str(self.run_id), clone=str(self.clone), error=str(error))
            return self._commits_alone([f"all that is not committed ({one_line(str(error))})"])

    def recovered(self) -> Saved | None:
        """Bring the last snapshot of a clone that is gone to where its work belongs; None without one."""
        last = self._snapshot()
        if last is None:
            return None
        if last.is_clean or not self.is_refused:
            commit = last.head if last.is_clean else last.commit
            return Saved(commit=self._kept_at(commit, self._branches()), snapshot_at=last.taken_at)
        head = self._kept_at(last.head, self._branches())
        aside = list(self._salvage_branches())
        commit = self._kept_at(last.commit, iter(aside))
        return Saved(commit=head, set_aside=self._at(commit, aside), snapshot_at=last.taken_at)

    def _saved(self, evidence: Evidence, blocked: Iterable[str]) -> Saved:
        missing = self._missing(evidence.head)
        tree = evidence.tree or tree_of(self.git, evidence.head)
        with scratch(self.git) as directory:
            staging, found = self._staged(evidence, directory, tree)
            named = filters(staging.view.git, missing)
            unread = [path for path in missing if named.get(path) == lfs.FILTER]
            kept = _named(
                [*map(readable, (*staging.kept, *unread)), *map(one_line, blocked), *_unread(evidence)]
            )
            if found == tree:
                return Saved(
                    commit=self._kept_at(evidence.head, self._branches()),
                    kept=kept,
                    snapshot_at=evidence.snapshot_at,
                )
            if not self.is_refused:
                branches = list(self._branches())
                commit = self._leftovers(evidence, staging, found, branches)
                return Saved(commit=commit, kept=kept, snapshot_at=evidence.snapshot_at)
            head = self._kept_at(evidence.head, self._branches())
            aside = list(self._salvage_branches())
            commit = self._leftovers(evidence, staging, found, aside)
            where = self._at(commit, aside)
            return Saved(commit=head, set_aside=where, kept=kept, snapshot_at=evidence.snapshot_at)

    def _missing(self, head: str) -> list[bytes]:
        """The paths of large files (LFS) of a commit whose content is nowhere; none of one that was taken."""
        if commit_at(self.git, taken_ref(self.run_id, head)):
            return []
        return [pointed.path for pointed in lfs.bring_new(self.git, head, clone=self.clone)]

    def _commits_alone(self, why: Iterable[str]) -> Saved:
        """The last resort: what is committed, if it can be had; the rest stays in the clone and is named."""
        with bounds.within(LAST_LIMIT):
            evidence = self._evidence(is_readable=True)
            head = self._kept_at(evidence.head, self._branches())
            found = [os.fsencode(path) for path in giants(self.clone)]
            return Saved(
                commit=head,
                kept=_named([*(map(readable, found) if found else map(one_line, why)), *_unread(evidence)]),
                snapshot_at=evidence.snapshot_at,
            )

    def _staged(self, evidence: Evidence, directory: Path, tree: str) -> tuple[Staging, str]:
        """The clone's tree, as its agent's git would see it; as its files lie if that cannot be seen.

        Where nothing has changed it is *tree*, that of its head.
        """
        if not evidence.is_broken:
            try:
                (directory / "agents").mkdir()
                return self._filled(agents_view(self.git, evidence, directory / "agents"), tree)
            except (Conflict, GitFailed):
                pass
        (directory / "own").mkdir()
        return self._filled(own_view(self.git, evidence, directory / "own"), tree)

    def _filled(self, view: View, tree: str) -> tuple[Staging, str]:
        found = list(to_save(view))
        staging = Staging.of(view, store=self.git.directory)
        if not found:
            return staging, tree
        written = staging.write(found)
        staging.kept += [change.path for change in found if _is_only_staged(view, change)]
        return staging, put_back(staging.git, written, head=view.head, repository=self.git.directory)

    def _leftovers(self, evidence: Evidence, staging: Staging, found: str, branches: Sequence[str]) -> str:
        """The commit of what was not committed, on one of the branches."""
        for branch in branches:
            at = tip(self.git, branch)
            if at and contains(self.git, at, evidence.head) and tree_of(self.git, at) == found:
                return at
        message = f"WIP: auto-commit uncommitted work ({self.role}) [{self.pipeline_id}]\n{staging.report()}"
        commit = commit_tree(staging.git, found, evidence.head, message=message)
        objects = staging.git.directory / "objects"
        bring(self.git, evidence, commit, objects=objects, limit=SAVE_LIMIT)
        return self._moved(commit, branches)

    def _evidence(self, *, is_readable: bool) -> Evidence:
        """The clone as it is, its commits brought here, if git can read them."""
        try:
            if not is_readable:
                raise unreadable(self.clone, "its .git holds what git cannot open")
            evidence = inspect(self.clone, repository=self.git.directory)
            taken = fetch(self.git, evidence, limit=SAVE_LIMIT)
        except (Conflict, TookTooLong) as error:
            why = error.details.get("reason") or error.message
            if snapshot := self._snapshot():
                # What READY was refused for is not the role's work.
                known = snapshot.head if self.is_refused else snapshot.commit
                return Evidence(self.clone, known, is_broken=True, why=why, snapshot_at=snapshot.taken_at)
            # Its commits cannot be read; its files can, on top of what was taken last or it began with.
            last, made = tip(self.git, self.branch), made_as(self.clone)
            if made and not (last and contains(self.git, last, made.head)):
                last = made.head
            last = last or tip(self.git, work_branch(self.pipeline_id))
            if last is None:
                raise
            return Evidence(self.clone, last, is_broken=True, why=why)
        return replace(evidence, tree=taken.tree)

    def _snapshot(self) -> CloneSnapshot | None:
        """The last snapshot; its head alone where it is more than others can check out."""
        last = snapshots.find(self.git, self.run_id)
        if last is None or last.is_clean:
            return last
        try:
            weights.refuse(self.git, last.commit)
        except (Conflict, GitFailed) as error:
            log.warning("salvage.snapshot_refused", run=str(self.run_id), error=one_line(str(error)))
            return last.model_copy(update={"commit": last.head, "is_clean": True})
        return last

    def _salvage_branches(self) -> Iterator[str]:
        number = 1
        while tip(self.git, kept := salvage_branch(self.pipeline_id, self.run_id, number=number)):
            yield kept
            number += 1
        yield kept

    def _branches(self) -> Iterator[str]:
        yield self.branch
        yield from self._salvage_branches()

    def _kept_at(self, head: str, branches: Iterator[str]) -> str:
        """The clone's head, on one of the branches."""
        known = []
        for branch in branches:
            at = tip(self.git, branch)
            if at and contains(self.git, at, head):
                return head
            known.append(branch)
        return self._moved(head, known)

    def _moved(self, commit: str, branches: Sequence[str]) -> str:
        for branch in branches:
            at = tip(self.git, branch)
            if (at is None or contains(self.git, commit, at)) and move_ref(
                self.git, branch_ref(branch), commit, expected=at
            ):
                return commit
        raise Unavailable(f"{self.branch} moves while {self.clone} is salvaged: salvage it again")

    def _at(self, commit: str, branches: Sequence[str]) -> str:
        return next(branch for branch in branches if tip(self.git, branch) == commit)


def _unread(evidence: Evidence) -> Iterator[str]:
    """What is said of commits that could not be brought here."""
    if evidence.is_broken:
        yield one_line(f"what only its commits hold ({evidence.why})")


def _named(kept: Iterable[str]) -> tuple[str, ...]:
    """What is kept, by name, as far as anybody reads that."""
    names = sorted(set(kept))
    more = len(names) - MOST_REPORTED
    return (*names[:MOST_REPORTED], f"and {more} more") if more > 0 else tuple(names)


def _is_only_staged(view: View, change: Change) -> bool:
    """Whether nobody but the clone's index has what a file was when it was staged: it was deleted since."""
    is_both = change.is_staged and change.is_unstaged and not change.is_in_conflict
    return is_both and not os.path.lexists(os.path.join(os.fsencode(view.clone), change.path))  # noqa: PTH118
