"""Commits that a clone's head does not hold and nobody else has: on other branches, in worktrees, stashed.

The clone's refs are read as plain files. One that has only its own branch, at its head, costs no git at all.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from uuid import UUID

from egg_tasks.workspace.clones import Evidence, is_directory, read_plain, unreadable
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import move_ref
from egg_tasks.workspace.names import COMMIT, branch_ref, stray_branch
from egg_tasks.workspace.versions import fetch
from models.errors import Conflict

MOST = 1000
"""So many refs of a clone are looked at."""
SAVED = 100
"""So many stray commits are brought away."""
NAMED = 10
HEADS = "refs/heads/"


@dataclass(frozen=True)
class Stray:
    """A commit that would be left behind, and where it is: `branch b`, `worktree w` or `stash`."""

    where: str
    commit: str

    def __str__(self) -> str:
        return f"{self.where} at {self.commit[:10]}"


def refuse(git: Git, evidence: Evidence) -> None:
    """Raise `Conflict` naming the commits that a READY of the clone's head would leave behind."""
    found = strays(git, evidence)
    if not found:
        return
    named = ", ".join(map(str, found[:NAMED])) + (f" and {len(found) - NAMED} more" if found[NAMED:] else "")
    raise Conflict(
        f"The clone {evidence.clone} has commits that its head does not hold: {named}. Merge them "
        "(`git merge BRANCH`, `git stash pop` and commit), or delete what is not wanted "
        "(`git worktree remove`, `git branch -D BRANCH`, `git stash drop`), then signal READY again",
        {"strays": {stray.where: stray.commit for stray in found}},
    )


def save(git: Git, evidence: Evidence, *, pipeline_id: str, run_id: UUID) -> tuple[str, ...]:
    """Bring the clone's stray commits to branches of their own; where each was and is.

    To do it again gives the same. What cannot be read stays in the clone.
    """
    try:
        found = strays(git, evidence, but=stray_branch(pipeline_id, run_id, "*"))
    except Conflict:
        return ()
    saved = []
    for stray in found[:SAVED]:
        name = re.sub(r"[^A-Za-z0-9]+", "-", stray.where.partition(" ")[2] or stray.where).strip("-")[:60]
        branch = stray_branch(pipeline_id, run_id, f"{name}-{stray.commit[:10]}")
        try:
            fetch(git, replace(evidence, head=stray.commit))
        except Conflict:
            continue
        move_ref(git, branch_ref(branch), stray.commit, expected=None)
        saved.append(f"{stray.where} is kept on {branch}")
    return tuple(saved)


def strays(git: Git, evidence: Evidence, *, but: str = "") -> tuple[Stray, ...]:
    """The clone's stray commits by name; branches called *but* do not count as having them."""
    refs = {where: commit for where, commit in _refs(evidence).items() if commit != evidence.head}
    if not refs:
        return ()
    borrowing = replace(git, borrowed=evidence.objects)
    asked = "".join(f"{commit}\n" for commit in sorted(set(refs.values()))) + f"^{evidence.head}\n"
    known = ["--not", f"--exclude={HEADS}{but}", "--all"] if but else ["--not", "--all"]
    try:
        # What is named and not there is ignored: nothing can be lost with it.
        left = borrowing.lines("rev-list", "--ignore-missing", "--stdin", *known, stdin=asked.encode())
    except GitFailed as error:
        raise unreadable(evidence.clone, f"a branch of it is not whole ({error})") from error
    lacking = set(left)
    return tuple(Stray(where, commit) for where, commit in sorted(refs.items()) if commit in lacking)


def _refs(evidence: Evidence) -> Mapping[str, str]:
    """Where the clone's branches, stash and worktrees without a branch are."""
    found: dict[str, str] = {}
    for name, commit in (*_packed(evidence), *_loose(evidence)):
        found[name] = commit
        if len(found) == MOST:
            break
    return found


def _packed(evidence: Evidence) -> Iterator[tuple[str, str]]:
    content = read_plain(evidence.clone, ".git/packed-refs") or b""
    for line in content.splitlines():
        if b" refs/heads/" not in line and not line.endswith(b" refs/stash"):
            continue
        commit, _, ref = line.decode("utf-8", "backslashreplace").partition(" ")
        if COMMIT.fullmatch(commit):
            yield _called(ref), commit


def _loose(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for name in islice(_names(evidence.clone / ".git"), MOST):
        content = read_plain(evidence.clone, f".git/{name}") or b""
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
    plain = name if name.isprintable() else ascii(name)
    return f"branch {plain}" if is_branch else f"worktree {plain}"
