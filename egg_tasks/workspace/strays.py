"""Commits that a clone's head does not hold and nobody else has: on other branches, in worktrees, stashed.

The clone's refs are read as plain files. One that has only its own branch, at its head, costs no git at all.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from uuid import UUID

from egg_tasks.foreign_files import LARGEST_REF, is_directory, read_plain
from egg_tasks.workspace import lfs, nested, packed_refs
from egg_tasks.workspace.clones import Evidence, unreadable
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import move_ref
from egg_tasks.workspace.names import COMMIT, SNAPSHOTS, branch_ref
from egg_tasks.workspace.nested import HEADS
from egg_tasks.workspace.versions import MOST_SAID, bring
from models.errors import Conflict
from models.foreign import named, one_line
from models.git_names import stray_branch
from models.schemas.git import Strays

MOST = 1000
"""So many refs of a clone are looked at."""
SAVED = 100
"""So many stray commits are brought away."""
NAMED = 10


@dataclass(frozen=True)
class Stray:
    """A commit that would be left behind, and where it is: `branch b`, `worktree w` or `stash`."""

    where: str
    commit: str
    objects: Path

    @property
    def name(self) -> str:
        """What is said of where it is, without what kind of place that is."""
        return self.where.partition(" ")[2] or self.where

    def __str__(self) -> str:
        return f"{self.where} at {self.commit[:10]}"


def refuse(git: Git, evidence: Evidence) -> None:
    """Raise `Conflict` naming the commits that a READY of the clone's head would leave behind."""
    found = list(strays(git, evidence))
    for one in nested.repositories(git, evidence):
        inside = strays(one.store, one.evidence)
        found += [replace(stray, where=f"{stray.where} of {one.path}") for stray in inside]
    if not found:
        return
    raise Conflict(
        f"The clone {evidence.clone} has commits that its head does not hold: {named(found, most=NAMED)}. "
        "Merge them (`git merge BRANCH`, `git stash pop` and commit), or delete what is not wanted "
        "(`git worktree remove`, `git branch -D BRANCH`, `git stash drop`), then signal READY again",
        {"strays": {stray.where: stray.commit for stray in found[:MOST_SAID]}},
    )


def save(git: Git, evidence: Evidence, *, pipeline_id: str, run_id: UUID) -> Strays:
    """Bring the clone's stray commits to branches of their own; where each was and is, and what is left.

    What repositories inside the clone hold, committed or not, is brought away too. To do it again gives the
    same. What cannot be read stays in the clone.
    """
    but = stray_branch(pipeline_id, run_id, "*")
    saved: list[str] = []
    left: list[str] = []
    if len(_refs(evidence)) >= MOST:
        left.append(f"commits on more than {MOST} branches")
    found = _found(git, evidence, but, left)
    for stray, store in islice(found, SAVED):
        name = re.sub(r"[^A-Za-z0-9]+", "-", stray.name).strip("-")[:60]
        branch = stray_branch(pipeline_id, run_id, f"{name}-{stray.commit[:10]}")
        try:
            bring(store, evidence, stray.commit, objects=stray.objects)
            missing = lfs.bring_new(store, stray.commit, clone=evidence.clone)
        except Conflict:
            left.append(f"commits of {stray}")
            continue
        if missing:
            left.append(f"large files of {stray}")
        move_ref(store, branch_ref(branch), stray.commit, expected=None)
        where = "" if store == git else f" in {store.directory}"
        saved.append(f"{stray.where} is kept on {branch}{where}")
    if next(found, None):
        left.append(f"commits on more than {SAVED} other branches")
    return Strays(saved=tuple(saved), left=tuple(left))


def _found(git: Git, evidence: Evidence, but: str, left: list[str]) -> Iterator[tuple[Stray, Git]]:
    """The stray commits of a clone and of the repositories inside it, and where each is to be kept.

    What cannot be read is added to *left*.
    """
    with _telling(left, "commits on other branches"):
        yield from ((stray, git) for stray in strays(git, evidence, but=but))
    for one in nested.repositories(git, evidence):
        with _telling(left, f"commits in {one.path}"):
            inside = strays(one.store, one.evidence, but=but, with_head=True)
            yield from ((replace(stray, where=f"{stray.where} of {one.path}"), one.store) for stray in inside)
        with _telling(left, f"uncommitted work of {one.path}"):
            if found := nested.save_uncommitted(one, evidence, among=but, left=left):
                where = f"uncommitted work of {one.path}"
                yield Stray(where, found, one.store.directory / "objects"), one.store
    left += [f"what is in {path}" for path in nested.closed(git, evidence)]


@contextmanager
def _telling(left: list[str], what: str) -> Iterator[None]:
    try:
        yield
    except Conflict as error:
        left.append(f"{what} ({one_line(error.details.get('reason') or error.message)})")


def strays(git: Git, evidence: Evidence, *, but: str = "", with_head: bool = False) -> tuple[Stray, ...]:
    """The clone's stray commits by name; branches called *but* do not count as having them.

    *with_head* asks after the clone's head, too.
    """
    refs = {where: commit for where, commit in _refs(evidence).items() if commit != evidence.head}
    if with_head:
        refs["HEAD"] = evidence.head
    if not refs:
        return ()
    borrowing = replace(git, borrowed=evidence.objects)
    asked = "".join(f"{commit}\n" for commit in sorted(set(refs.values())))
    asked += "" if with_head else f"^{evidence.head}\n"
    beside = [f"--exclude={SNAPSHOTS}*", *([f"--exclude={HEADS}{but}"] if but else [])]
    known = ["--not", *beside, "--all"]
    try:
        # What is named and not there is ignored: nothing can be lost with it.
        left = borrowing.lines("rev-list", "--ignore-missing", "--stdin", *known, stdin=asked.encode())
    except GitFailed as error:
        raise unreadable(evidence.clone, f"a branch of it is not whole ({error})") from error
    lacking, objects = set(left), evidence.objects
    return tuple(Stray(where, commit, objects) for where, commit in sorted(refs.items()) if commit in lacking)


def _refs(evidence: Evidence) -> Mapping[str, str]:
    """Where the clone's branches, stash and worktrees without a branch are."""
    found: dict[str, str] = {}
    for name, commit in (*_packed(evidence), *_loose(evidence)):
        found[name] = commit
        if len(found) == MOST:
            break
    return found


def _packed(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for commit, ref in packed_refs.branches(evidence.clone):
        if COMMIT.fullmatch(commit):
            yield _called(ref), commit


def _loose(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for name in islice(_names(evidence.clone / ".git"), MOST):
        content = read_plain(evidence.clone, f".git/{name}", limit=LARGEST_REF) or b""
        commit = content.decode("utf-8", "replace").strip()
        if COMMIT.fullmatch(commit):
            yield _called(name), commit


def _names(git: Path) -> Iterator[str]:
    """What may hold a ref in a file of its own; directories that are links are not entered."""
    yield "refs/stash"
    if is_directory(git / "worktrees"):
        yield from (f"worktrees/{entry.name}/HEAD" for entry in os.scandir(git / "worktrees"))
    if is_directory(git / HEADS):
        for directory, _, files in os.walk(git / HEADS):
            yield from (str((Path(directory) / file).relative_to(git)) for file in files)


def _called(ref: str) -> str:
    """What a ref is called in a sentence; the name is the agent's."""
    if ref == "refs/stash":
        return "stash"
    is_branch = ref.startswith(HEADS)
    name = ref.removeprefix(HEADS) if is_branch else ref.split("/")[1]
    plain = one_line(name)
    return f"branch {plain}" if is_branch else f"worktree {plain}"
