"""Repositories inside a clone: submodules that we laid out, and those an agent made itself.

Each has a .git of its own that is read like a clone's. What was committed in a submodule goes to where it is
held, the rest to the pipeline's repository.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egg_tasks.workspace.clones import NAMED, Evidence, inspect, is_directory, read_plain, unblocked
from egg_tasks.workspace.foreign_links import may_link
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import commit_tree, readable, tree_of
from egg_tasks.workspace.links import declared, links
from egg_tasks.workspace.submodules import copy_of
from egg_tasks.workspace.versions import bring, scratch
from models.errors import Conflict

HEADS = "refs/heads/"
UNFILTERED = frozenset({b"unspecified", b"unset"})


@dataclass(frozen=True)
class Nested:
    """A repository at a path of a clone's head, and where its commits are kept."""

    path: str
    """As it can be read: the name is an agent's."""
    evidence: Evidence
    store: Git
    ignore: str
    """What .gitmodules says is no change of it."""


def repositories(git: Git, evidence: Evidence) -> Iterator[Nested]:
    """The repositories inside a clone that its head links to and that can be read."""
    if not may_link(evidence):
        return
    modules = {module.path: module for module in declared(git, evidence.head)}
    for path in links(git, evidence.head):
        root, module = evidence.clone / path, modules.get(path)
        copy = copy_of(git.directory, module.name if module else "")
        is_held = module is not None and copy.is_dir()
        if not all(is_directory(each) for each in root.parents if evidence.clone in each.parents):
            continue
        try:
            inner = inspect(root, repository=copy if is_held else None)
        except Conflict:
            continue
        yield Nested(
            readable(os.fsencode(path)),
            inner,
            Git(copy) if is_held else git,
            module.ignore if module else "none",
        )


def refuse_uncommitted(git: Git, evidence: Evidence) -> None:
    """Raise `Conflict` naming what is not committed in submodules: a READY would not bring it."""
    found = {one.path: sorted(changed(one, evidence)) for one in repositories(git, evidence)}
    paths = [f"{inside}/{readable(path)}" for inside, changes in found.items() for path in changes]
    if paths:
        inside = next(path for path, changes in found.items() if changes)
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        raise Conflict(
            f"The clone {evidence.clone} has uncommitted changes in {', '.join(paths[:NAMED])}{more}. "
            "A submodule's commits cannot be published from here: take them back "
            f"(`git -C {inside} reset --hard`, `git -C {inside} clean -fd`) and make the change elsewhere, "
            "then signal READY again",
            {"paths": paths},
        )


def changed(one: Nested, evidence: Evidence) -> frozenset[bytes]:
    """Paths in which a repository inside a clone differs from its head, but for what .gitmodules ignores.

    Raises `Conflict` where a pipe keeps git from telling.
    """
    if one.ignore in {"dirty", "all"}:
        return frozenset()
    others = () if one.ignore == "untracked" else ("--others", "--exclude-standard")
    with unblocked(evidence.clone), scratch(evidence.clone) as directory:
        try:
            looking = _looking(one, directory)
            listed = looking.run("ls-files", "-z", "--modified", "--deleted", *others)
            head = one.evidence.head
            staged = looking.run("diff-index", "--cached", "--name-only", "--no-renames", "-z", head)
        except GitFailed:
            return frozenset()
    return frozenset(path for path in (listed + staged).split(b"\0") if path)


def save_uncommitted(one: Nested, evidence: Evidence, *, among: str) -> str | None:
    """Commit what is not committed in a repository inside a clone; None if there is nothing to commit.

    A branch in *among* that holds just that is the commit. Files that a filter of the agent's makes are
    left where they are: none is run.
    """
    paths = changed(one, evidence)
    if not paths:
        return None
    head, store = one.evidence.head, one.store
    with scratch(evidence.clone) as directory:
        try:
            bring(store, evidence, head, objects=one.evidence.objects)
            tree = _written(_looking(one, directory), paths)
        except (Conflict, GitFailed):
            return None
    if tree == tree_of(store, head):
        return None
    kept = store.lines("for-each-ref", "--format=%(objectname) %(tree)", f"{HEADS}{among}")
    saved = (commit for commit, _, kept_tree in (line.partition(" ") for line in kept) if kept_tree == tree)
    message = f"WIP: uncommitted work in {one.path}\n"
    return next(saved, None) or commit_tree(store, tree, head, message=message)


def _written(looking: Git, paths: frozenset[bytes]) -> str:
    """The tree of a repository's files, those in *paths* read anew."""
    asked = b"".join(path + b"\0" for path in sorted(paths) if not path.endswith(b"/"))
    said = looking.run("check-attr", "-z", "--stdin", "filter", stdin=asked).split(b"\0")
    plain = (path for path, value in zip(said[0::3], said[2::3], strict=False) if value in UNFILTERED)
    listed = b"".join(path + b"\0" for path in plain)
    looking.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=listed)
    return looking.line("write-tree")


def _looking(one: Nested, directory: Path) -> Git:
    """Git over a repository's files with a copy of its index: what its agent's git knows clean stays so."""
    inner = one.evidence
    index = directory / "nested"
    content = read_plain(inner.clone, ".git/index")
    looking = one.store.within(inner.clone, index=index, borrowed=inner.objects, excludes=inner.excludes)
    if content is None:
        looking.run("read-tree", inner.head)
    else:
        index.write_bytes(content)
        written = (inner.clone / ".git/index").lstat()
        os.utime(index, ns=(written.st_atime_ns, written.st_mtime_ns))
    return looking
