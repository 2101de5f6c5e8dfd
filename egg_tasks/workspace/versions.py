"""Taking what an agent committed, and refusing what it did not."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from egg_tasks.workspace import lfs
from egg_tasks.workspace.changes import Change, changes, filters
from egg_tasks.workspace.clones import Evidence, unblocked, unreadable
from egg_tasks.workspace.git import TIME_LIMIT, Git, GitFailed
from egg_tasks.workspace.history import readable
from egg_tasks.workspace.view import agents_view
from models.errors import Conflict, Leftovers
from models.foreign import named
from models.schemas.git import Taken


@contextmanager
def scratch(clone: Path) -> Iterator[Path]:
    """A directory for temporary files, beside the clone and never in it."""
    with tempfile.TemporaryDirectory(prefix=f"{clone.name}.look-", dir=clone.parent) as directory:
        yield Path(directory)


def fetch(git: Git, evidence: Evidence, *, limit: timedelta = TIME_LIMIT) -> Taken:
    """Copy the objects of the clone's head into the pipeline's repository unless it holds them.

    Runs in the pipeline's repository with the clone's objects borrowed, never in the clone: a fetch
    would start upload-pack there, under a configuration the agent writes. Raises `Conflict` when objects
    are missing or broken.
    """
    return bring(git, evidence, evidence.head, objects=evidence.objects, limit=limit)


def bring(
    git: Git, evidence: Evidence, commit: str, *, objects: Path, limit: timedelta = TIME_LIMIT
) -> Taken:
    """Copy a commit, and all it needs, from an object directory unless the repository holds it.

    Objects arrive as one checked pack, so a commit that is here is here with all it needs.
    """
    if tree := _tree(git, commit):
        return Taken(commit=commit, tree=tree)
    borrowing = Git(git.directory, borrowed=objects)
    known = git.run("for-each-ref", "--format=^%(objectname)", "refs/heads", "refs/tags")
    with (
        unblocked(evidence.clone),
        scratch(evidence.clone) as directory,
        (directory / "pack").open("w+b") as pack,
    ):
        try:
            borrowing.run(
                "pack-objects", "--quiet", "--revs", "--thin", "--delta-base-offset", "--stdout",
                stdin=known + f"{commit}\n".encode(), stdout=pack, timeout=limit,
            )  # fmt: skip
            pack.seek(0)
            git.run("index-pack", "--stdin", "--fix-thin", "--strict", stdin=pack, timeout=limit)
        except GitFailed as error:
            raise unreadable(evidence.clone, f"the objects of {commit} are not whole ({error})") from error
    tree = _tree(git, commit)
    if not tree:
        raise unreadable(evidence.clone, f"its head {commit} is not a commit")
    return Taken(commit=commit, tree=tree)


def refuse_uncommitted(git: Git, evidence: Evidence) -> None:
    """Raise `Leftovers` naming what the clone's head does not hold."""
    if evidence.unfinished:
        raise Leftovers(
            f"The clone {evidence.clone} is in the middle of a {evidence.unfinished}: "
            "finish or abort it, commit, then signal READY again",
            {"unfinished": evidence.unfinished},
        )
    found = sorted(_uncommitted(git, evidence), key=lambda change: change.path)
    if not found:
        return
    names = [readable(change.path) for change in found]
    asked = _filters(found)
    raise Leftovers(
        f"The clone {evidence.clone} has uncommitted changes in {named(names)}: "
        f"commit them (or ignore or remove what does not belong), then signal READY again{_way_out(asked)}",
        {"paths": names, "filters": asked},
    )


def refuse_missing(git: Git, evidence: Evidence) -> None:
    """Bring along the large files (LFS) of a clone's head; raise `Conflict` naming those that are nowhere."""
    missing = {pointed.blob.encode() for pointed in lfs.bring_new(git, evidence.head, clone=evidence.clone)}
    if not missing:
        return
    with scratch(evidence.clone) as directory:
        looking = agents_view(git, evidence, directory).git
        tracked = (
            line.partition(b"\t") for line in looking.run("ls-tree", "-r", "-z", evidence.head).split(b"\0")
        )
        paths = [path for about, _, path in tracked if about.split(b" ")[-1] in missing]
        # A text that only looks like a pointer is nobody's large file.
        asked = filters(looking, paths)
    names = [readable(path) for path in paths if asked.get(path) == lfs.FILTER]
    if names:
        raise Conflict(
            f"The content of {named(names)} is nowhere: {evidence.clone} has the pointer,"
            " and neither its .git/lfs/objects nor the pipeline's repository has what that names. Get it"
            " (`git lfs fetch`), or write the file anew, `git add` and commit it, then signal READY again",
            {"paths": names},
        )


def _uncommitted(git: Git, evidence: Evidence) -> list[Change]:
    with scratch(evidence.clone) as directory, unblocked(evidence.clone):
        try:
            return changes(agents_view(git, evidence, directory))
        except GitFailed as error:
            why = f"its index or its configuration is broken ({error}); try `git status`, and `git reset`"
            raise unreadable(evidence.clone, why) from error


def _filters(found: list[Change]) -> list[str]:
    """The filters that would have to be run to know whether all these files have changed."""
    return sorted({readable(c.filter) for c in found if c.filter not in {None, lfs.FILTER} and not c.is_new})


def _way_out(named: list[str]) -> str:
    """What to do about files only the agent's git can judge, since their filters are programs of its own."""
    if not named:
        return ""
    return (
        f". What the filter {' or '.join(named)} makes of a file is not tried here: where `git status` is"
        " clean, let git look at such files anew (`touch` them, then `git status`) and signal again"
    )


def _tree(git: Git, commit: str) -> str | None:
    answer = git.run(
        "cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=f"{commit}^{{tree}}\n".encode()
    )
    kind, _, tree = answer.decode().strip().partition(" ")
    return tree if kind == "tree" else None
