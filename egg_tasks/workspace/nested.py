"""Repositories inside a clone: submodules that we laid out, and those an agent made itself.

Each has a .git of its own that is read like a clone's. What was committed in a submodule goes to where it is
held, the rest to the pipeline's repository.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from egg_tasks.foreign_files import is_directory
from egg_tasks.workspace.changes import Change, changes
from egg_tasks.workspace.clones import Evidence, inspect
from egg_tasks.workspace.foreign_links import may_link
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import commit_tree, readable, tree_of
from egg_tasks.workspace.links import declared, links
from egg_tasks.workspace.staging import Staging
from egg_tasks.workspace.submodules import copy_of
from egg_tasks.workspace.versions import MOST_SAID, bring, said, scratch
from egg_tasks.workspace.view import View, agents_view
from models.errors import Conflict
from models.foreign import named

HEADS = "refs/heads/"


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


def closed(git: Git, evidence: Evidence) -> Iterator[str]:
    """The paths a clone's head links to where something lies that is no repository which can be read."""
    if not may_link(evidence):
        return
    known = {one.path for one in repositories(git, evidence)}
    for path in links(git, evidence.head):
        shown = readable(os.fsencode(path))
        if shown not in known and not _is_empty(evidence.clone / path):
            yield shown


def _is_empty(directory: Path) -> bool:
    """Whether nothing is there, as where a submodule could not be had."""
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False


def refuse_uncommitted(git: Git, evidence: Evidence) -> None:
    """Raise `Conflict` naming what is not committed in submodules: a READY would not bring it."""
    found = {one.path: sorted(changed(one, evidence)) for one in repositories(git, evidence)}
    every = ((inside, path) for inside, changes in found.items() for path in changes)
    paths = [f"{inside}/{readable(path)}" for inside, path in islice(every, MOST_SAID)]
    count = sum(map(len, found.values()))
    if paths:
        inside = next(path for path, changes in found.items() if changes)
        raise Conflict(
            f"The clone {evidence.clone} has uncommitted changes in {named(paths, of=count)}. "
            "A submodule's commits cannot be published from here: take them back "
            f"(`git -C {inside} reset --hard`, `git -C {inside} clean -fd`) and make the change elsewhere, "
            "then signal READY again",
            said(paths, of=count),
        )


def changed(one: Nested, evidence: Evidence) -> frozenset[bytes]:
    """Paths in which a repository inside a clone differs from its head, but for what .gitmodules ignores.

    Raises `Conflict` where a pipe keeps git from telling.
    """
    with scratch(one.store) as directory:
        try:
            return frozenset(change.path for change in _looked_at(one, evidence, directory)[1])
        except GitFailed:
            return frozenset()


def save_uncommitted(one: Nested, evidence: Evidence, *, among: str, left: list[str]) -> str | None:
    """Commit what is not committed in a repository inside a clone; None if there is nothing to commit.

    A branch in *among* that holds just that is the commit. Files that cannot be saved as they should be are
    named in its message, and added to *left*. Raises `Conflict` where it cannot be had.
    """
    head, store = one.evidence.head, one.store
    with scratch(one.store) as directory:
        try:
            view, found = _looked_at(one, evidence, directory)
            if not found:
                return None
            bring(store, evidence, head, objects=one.evidence.objects)
            staging = Staging.of(view, store=store.directory)
            tree = staging.write([change for change in found if not change.path.endswith(b"/")])
            left += [f"{one.path}/{readable(path)}" for path in staging.kept]
            left += [f"{one.path}/{readable(each.path)}" for each in found if each.path.endswith(b"/")]
            if tree == tree_of(store, head):
                return None
            kept = store.lines("for-each-ref", "--format=%(objectname) %(tree)", f"{HEADS}{among}")
            for commit, _, kept_tree in (line.partition(" ") for line in kept):
                if kept_tree == tree:
                    return commit
            message = f"WIP: uncommitted work in {one.path}\n{staging.report()}"
            commit = commit_tree(staging.git, tree, head, message=message)
            bring(store, evidence, commit, objects=staging.git.directory / "objects")
        except GitFailed as error:
            raise Conflict(f"git fails at {one.path}: {error}") from error
    return commit


def _looked_at(one: Nested, evidence: Evidence, directory: Path) -> tuple[View, list[Change]]:
    """What the agent's own git finds changed in a repository inside a clone."""
    view = agents_view(one.store, one.evidence, directory, run=evidence.clone)
    if one.ignore in {"dirty", "all"}:
        return view, []
    return view, [each for each in changes(view) if not (each.is_new and one.ignore == "untracked")]
