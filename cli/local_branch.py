"""The branch that holds a pipeline's work in the person's repository. None of theirs is ever moved.

It goes on with the work only as long as nobody but these commands has moved it, and only forwards.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cli import persons_git
from cli.persons_git import GitSaidNoError
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.lfs import copy_lfs
from models.errors import EggError

FETCH = ("fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head")
MOST_NAMES = 100
MARK = "egg: the work of pipeline "
"""How the log of a branch says that it was one of our commands that moved it."""


def fetch(repository: Path, *, source: Path, ref: str, commit: str) -> None:
    """Bring the objects of *ref*, and the large files (LFS) of *commit*, without any ref or other change."""
    persons_git.ask(repository, *FETCH, "--", str(source), ref)
    common = persons_git.ask(repository, "rev-parse", "--git-common-dir")
    try:
        copy_lfs(Git(source), [commit], into=repository / common)
    except (EggError, GitFailed) as error:
        raise GitSaidNoError(f"its large files (LFS) could not be copied ({error})") from error


def held(repository: Path, *, commit: str, name: str, pipeline: str) -> bool:
    """Whether the branch *name* is at *commit* now, or holds it: made, or moved on if it may be."""
    tip = persons_git.answer(repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{name}")
    if tip and _contains(repository, tip, commit):
        return True
    if in_the_way(name, heads(repository) - {name} if tip else heads(repository)):
        return False
    if tip and not may_move(repository, name, tip=tip, commit=commit):
        return False
    try:
        # The empty last word: only if no such branch is there, whoever else makes one just now.
        persons_git.ask(
            repository,
            "update-ref",
            "--create-reflog",
            "-m",
            MARK + pipeline,
            f"refs/heads/{name}",
            commit,
            tip,
        )
    except GitSaidNoError:
        return _contains(repository, f"refs/heads/{name}", commit)
    return True


def may_move(repository: Path, name: str, *, tip: str, commit: str) -> bool:
    """Whether a branch may go on from *tip* to *commit*: it is ours alone, and in no work tree."""
    return is_ours(repository, name, tip=tip, commit=commit) and not _is_checked_out(repository, name)


def is_ours(repository: Path, name: str, *, tip: str, commit: str) -> bool:
    """Whether only commands of ours have moved a branch, and *commit* is where its work went on to."""
    last = persons_git.answer(repository, "log", "--walk-reflogs", "-1", "--format=%gs", f"refs/heads/{name}")
    return last.startswith(MARK) and _contains(repository, commit, tip)


def holder(repository: Path, commit: str, likely: Sequence[str]) -> str | None:
    """A branch that holds *commit*: the first likely one, else any; None if there is none."""
    found = persons_git.answer(
        repository, "for-each-ref", "--format=%(refname:lstrip=2)", "--contains", commit, "refs/heads"
    ).split("\n")
    return next((branch for branch in (*likely, *found) if branch and branch in found), None)


def heads(repository: Path) -> frozenset[str]:
    """Every branch, and those that are checked out without a commit."""
    made = persons_git.ask(repository, "for-each-ref", "--format=%(refname)", "refs/heads").splitlines()
    named = {line.removeprefix("branch ") for line in _worktrees(repository) if line.startswith("branch ")}
    return frozenset(ref.removeprefix("refs/heads/") for ref in (*made, *named))


def in_the_way(branch: str, heads: Iterable[str]) -> str | None:
    """The branch because of which git cannot have this one: its own name, or a folder of it."""
    return next(
        (
            head
            for head in sorted(heads)
            if head == branch or head.startswith(f"{branch}/") or branch.startswith(f"{head}/")
        ),
        None,
    )


def names(branch: str) -> Iterator[str]:
    """Names the branch may have, the best first: beside a branch `egg` there can be no folder of it."""
    for stem in (branch, branch.replace("/", "-")):
        yield stem
        yield from (f"{stem}-{number}" for number in range(2, MOST_NAMES))


def owner_to_be_spared(repository: Path) -> str | None:
    """Whose repository it is, where root would leave files in it that its owner could not write to."""
    try:
        owner = repository.stat().st_uid
        return repository.owner() if os.geteuid() == 0 and owner != 0 else None
    except KeyError:
        return f"user {owner}"
    except OSError as error:
        raise GitSaidNoError(f"it cannot be read ({error.strerror})") from error


def _contains(repository: Path, commit: str, other: str) -> bool:
    try:
        persons_git.ask(repository, "merge-base", "--is-ancestor", other, commit)
    except GitSaidNoError:
        return False
    return True


def _is_checked_out(repository: Path, name: str) -> bool:
    return f"branch refs/heads/{name}" in _worktrees(repository)


def _worktrees(repository: Path) -> Sequence[str]:
    return persons_git.ask(repository, "worktree", "list", "--porcelain").splitlines()
