"""Links to commits that nobody but the clone has: a repository inside it, a submodule that was moved."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from egg_tasks.foreign_files import LARGEST_INDEX, is_holding
from egg_tasks.workspace.clones import Evidence
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.history import readable, tip
from egg_tasks.workspace.links import MOST, declared, links
from egg_tasks.workspace.reach import Reach
from egg_tasks.workspace.submodules import copy_of, fetch_again, published, url_of
from models.errors import Conflict
from models.foreign import named

Reaching = Callable[[], Reach]
"""Says by what means other machines are reached; asked only where one must be."""
LOOK_LIMIT = timedelta(seconds=20)
"""How long a READY waits for the place a submodule comes from."""
NAMED = 10
ENTRY = (0o160000).to_bytes(4, "big")
"""How an index writes that an entry is a link; other bytes may look the same."""
FOLDED = (b"sdir", b"link")
"""Marks of an index that does not hold every entry itself."""


@dataclass(frozen=True)
class Foreign:
    """A link to a commit that only the clone may have."""

    path: str
    commit: str
    before: str | None
    """What the path was a link to before; None if it was none."""
    url: str | None
    """Where the submodule comes from; None for what the base has no submodule for."""

    def __str__(self) -> str:
        if self.url is None:
            return f"{self.path} (a repository of its own that the base has no submodule for)"
        return f"{self.path} (at {self.commit[:10]}, which {self.url} does not have)"


def refuse(git: Git, evidence: Evidence, *, work: str, reaching: Reaching) -> None:
    """Raise `Conflict` naming the links of the clone's head that lead nowhere for everybody else.

    *work* is the work branch.
    """
    if not may_link(evidence):
        return
    if len(links(git, evidence.head)) == MOST:
        raise Conflict(
            f"The clone {evidence.clone} links to {MOST} or more commits of other repositories: nobody can "
            "look after so many. Commit files instead of links, then signal READY again"
        )
    # Each of them may cost a fetch: enough are looked for to be named.
    found = list(islice(foreign(git, evidence.head, work=tip(git, work), reaching=reaching), NAMED + 1))
    if found:
        raise Conflict(
            f"The clone {evidence.clone} links to commits that nobody else has: {named(found, most=NAMED)}. "
            f"{_way_out(found)}. Commit, then signal READY again",
            {"paths": [each.path for each in found], "links": {each.path: each.commit for each in found}},
        )


def may_link(evidence: Evidence) -> bool:
    """Whether the clone's index, which is as its head once nothing is uncommitted, may hold a link."""
    return is_holding(evidence.clone, ".git/index", [ENTRY, *FOLDED], limit=LARGEST_INDEX) is not False


def foreign(git: Git, head: str, *, work: str | None, reaching: Reaching) -> Iterator[Foreign]:
    """The links of *head* that are not in the work branch, nor to be had where submodules come from."""
    linked = links(git, head)
    if not linked:
        return
    before, accepted = _known(git, head, work)
    names = {module.path: module.name for module in declared(git, head)}
    held = sorted((git.directory / "modules").glob("*"))
    had = published(held, set(linked.values()) - accepted)
    for path, commit in linked.items():
        if commit in accepted or commit in had:
            continue
        copy = copy_of(git.directory, names.get(path, ""))
        is_held = path in names and copy.is_dir()
        if is_held and fetch_again(copy, commit, reach=reaching(), limit=LOOK_LIMIT):
            continue
        yield Foreign(
            readable(os.fsencode(path)), commit, before.get(path), url_of(Git(copy)) if is_held else None
        )


def put_back(git: Git, tree: str, *, head: str, repository: Path) -> str:
    """A tree without links to commits that no submodule held for *repository* has: as *head* had them.

    *git* has an index that holds the tree. What such a link would lead to is saved by itself.
    """
    before, after = links(git, head), links(git, tree)
    new = {commit for path, commit in after.items() if commit != before.get(path)}
    had = published(sorted((repository / "modules").glob("*")), new)
    lines = b""
    for path, commit in after.items():
        if commit != before.get(path) and commit not in had:
            mode, known = ("160000", before[path]) if path in before else ("0", "0" * len(head))
            lines += f"{mode} {known}\t{path}\0".encode("utf-8", "surrogateescape")
    if not lines:
        return tree
    git.run("update-index", "-z", "--index-info", stdin=lines)
    return git.line("write-tree")


def _known(git: Git, head: str, work: str | None) -> tuple[Mapping[str, str], frozenset[str]]:
    """The links of the work branch by path, and the commits it links to or did where the head left it."""
    if work is None:
        return {}, frozenset()
    now = links(git, work)
    there, bases = git.answers("merge-base", head, work)
    left = [links(git, base) for base in bases.decode().split()] if there else []
    return now, frozenset(commit for each in (now, *left) for commit in each.values())


def _way_out(found: list[Foreign]) -> str:
    words = []
    if moved := [each for each in found if each.before]:
        path, before = moved[0].path, str(moved[0].before)[:10]
        words.append(
            "A submodule's commits cannot be published from here: take it back to one that others have "
            f"(`git -C {path} checkout {before}`, `git add {path}`)"
        )
    if new := [each for each in found if not each.before]:
        path = new[0].path
        words.append(
            f"Of a repository inside the clone commit the files and no link (`git rm --cached {path}`, "
            f"remove `{path}/.git`, `git add {path}`); a new submodule is for a person to add to the base"
        )
    return ". ".join(words)
