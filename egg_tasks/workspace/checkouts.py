"""Working directories: a role's clone, and the checkout a check runs in."""

import shutil
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from egg_tasks.foreign_files import LARGEST_RECORD, read_plain, write_plain
from egg_tasks.run_places import CHECKOUT
from egg_tasks.workspace import contents, packed_refs, submodules
from egg_tasks.workspace.atomic_directory import made_once
from egg_tasks.workspace.clones import alternates
from egg_tasks.workspace.git import Git, GitFailed, quoted
from egg_tasks.workspace.history import commit_tree, contains, merge_tree, tip
from egg_tasks.workspace.names import checked_commit, checked_role_branch
from models.errors import NotFound, Unavailable
from models.git_names import SHA256_DIGITS, work_branch
from models.schemas.git import Clone, Conflicted

CHECKOUT_LIMIT = timedelta(minutes=10)
FOLDERS = ("info", "objects/info", "objects/pack", "refs/heads", "refs/tags")
CONFIGURATION = """\
[core]
	repositoryformatversion = {version}
	bare = false
	logallrefupdates = true
[remote "origin"]
	url = {origin}
	pushurl = "/agents-never-push/signal-READY-instead"
	fetch = +refs/heads/*:refs/remotes/origin/*
[user]
	name = "{name}"
	email = "{name}@egg.localhost"
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	detachedHead = false
"""
RECORD = "clone.json"
SHA256 = "[extensions]\n\tobjectFormat = sha256\n"


def open_clone(git: Git, target: Path, *, pipeline_id: str, role: str, work_commit: str) -> Clone:
    """Make the role's clone with *work_commit* merged in if that goes; one that is there is left alone.

    Beside it stays the clone as it was made: what a second call returns.
    """
    branch = checked_role_branch(pipeline_id, role)
    with made_once(target) as partial:
        if partial:
            start = tip(git, branch) or checked_commit(work_commit)
            head, conflicts = _brought_up(
                git, start, work_commit, f"{work_branch(pipeline_id)} into {branch}"
            )
            missing = _furnish(git, partial, head=head, branch=branch, name=role)
            clone = Clone(path=target, branch=branch, head=head, conflicts=conflicts, missing=missing)
            write_plain(target.parent, RECORD, clone.model_dump_json())
    made = made_as(target)
    if made is None:
        raise Unavailable(f"{target} is there, and {RECORD} beside it does not say as what it was made")
    return made


def made_as(clone: Path) -> Clone | None:
    """The clone as it was made, or None where that is not known."""
    content = read_plain(clone.parent, RECORD, limit=LARGEST_RECORD)
    try:
        return Clone.model_validate_json(content) if content else None
    except ValidationError:
        return None


def open_checkout(git: Git, given: Path, *, commit: str) -> Path:
    """Make a checkout of *commit* on no branch; one that is there is left alone."""
    target = given / f"{CHECKOUT}{checked_commit(commit)[:12]}"
    with made_once(target) as partial:
        if partial:
            _furnish(git, partial, head=commit, branch=None, name="egg")
    return target


def _brought_up(git: Git, start: str, work: str, what: str) -> tuple[str, tuple[str, ...]]:
    if contains(git, start, work):
        return start, ()
    if contains(git, work, start):
        return work, ()
    outcome = merge_tree(git, start, work)
    if isinstance(outcome, Conflicted):
        return start, outcome.paths
    return commit_tree(git, outcome, start, work, message=f"Merge {what}"), ()


def _furnish(
    git: Git, partial: Path, *, head: str, branch: str | None, name: str, origin: str = ""
) -> tuple[str, ...]:
    """Check *head* out with a .git of its own, and its submodules; the paths of those that are not held."""
    inner = Git(partial / ".git")
    for folder in FOLDERS:
        (inner.directory / folder).mkdir(parents=True)
    is_sha256 = len(head) == SHA256_DIGITS
    text = CONFIGURATION.format(origin=quoted(origin or git.directory), name=name, version=int(is_sha256))
    (inner.directory / "config").write_text(text + SHA256 * is_sha256)
    (inner.directory / "objects/info/alternates").write_bytes(alternates(git.directory))
    if (git.directory / "shallow").exists():
        shutil.copyfile(git.directory / "shallow", inner.directory / "shallow")
    refs = git.lines("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
    own = {f"refs/heads/{branch}": head} if branch else {}
    packed_refs.write(inner.directory, {**_remote_refs(refs), **own})
    (inner.directory / "HEAD").write_text(f"ref: refs/heads/{branch}\n" if branch else f"{head}\n")
    try:
        # The configuration is ours still: no agent has been here.
        checkout = Git(inner.directory, work_tree=partial)
        checkout.run("reset", "--quiet", "--hard", head, timeout=CHECKOUT_LIMIT)
    except GitFailed as error:
        raise NotFound(f"{head} cannot be checked out of {git.directory}: {error}") from error
    contents.fill(checkout, head=head, store=git.directory)
    contents.define_filter(inner.directory)

    def inside(copy: Git, tree: Path, commit: str) -> tuple[str, ...]:
        return _furnish(copy, tree, head=commit, branch=None, name=name, origin=submodules.url_of(copy))

    return submodules.fill(git, partial, head=head, furnish=inside)


def _remote_refs(listed: Iterable[str]) -> Mapping[str, str]:
    """The refs of a repository, its branches called as a clone calls those of its origin."""
    pairs = (line.partition(" ") for line in listed)
    return {name.replace("refs/heads/", "refs/remotes/origin/", 1): commit for commit, _, name in pairs}
