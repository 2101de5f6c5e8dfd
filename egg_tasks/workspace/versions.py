"""Taking what an agent committed, and refusing what it did not."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from egg_tasks import stillness
from egg_tasks.workspace import lfs, weights
from egg_tasks.workspace.changes import Change, changes, filters
from egg_tasks.workspace.clones import Evidence, unreadable
from egg_tasks.workspace.git import TIME_LIMIT, Git, GitFailed
from egg_tasks.workspace.history import readable
from egg_tasks.workspace.lfs import settle
from egg_tasks.workspace.view import agents_view
from models.errors import Conflict, Leftovers, Unavailable
from models.foreign import named
from models.schemas.git import TakenHead

LEFT_AFTER = timedelta(hours=6)
MOST_SAID = 100
"""So many paths are named in an answer; how many more there are is said."""


@contextmanager
def scratch(git: Git) -> Iterator[Path]:
    """A directory for temporary files in a repository of ours, where no agent has a hand in it."""
    folder = git.directory / "looks"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix="look-", dir=folder, ignore_cleanup_errors=True) as directory:
            yield Path(directory)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written: {error.strerror or error}") from error


def _sweep(folder: Path) -> None:
    """Remove what a killed process left: no look takes as long."""
    for left in folder.iterdir():
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - LEFT_AFTER.total_seconds():
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def judged(clone: Path) -> Iterator[None]:
    """Refuse a clone at which git fails: to try again would give the same (a full disk is told apart)."""
    try:
        yield
    except GitFailed as error:
        raise unreadable(clone, f"git {error.arguments[0]} fails ({error})") from error


def fetch(git: Git, evidence: Evidence, *, limit: timedelta = TIME_LIMIT) -> TakenHead:
    """Copy the objects of the clone's head into the pipeline's repository unless it holds them.

    Runs in the pipeline's repository with the clone's objects borrowed, never in the clone: a fetch
    would start upload-pack there, under a configuration the agent writes. Raises `Conflict` when objects
    are missing or broken, or are more than others can check out.
    """
    return bring(git, evidence, evidence.head, objects=evidence.objects, limit=limit)


def bring(
    git: Git, evidence: Evidence, commit: str, *, objects: Path, limit: timedelta = TIME_LIMIT
) -> TakenHead:
    """Copy a commit, and all it needs, from an object directory unless the repository holds it."""
    with received(git, evidence, commit, objects=objects, limit=limit) as taken:
        return taken


@contextmanager
def received(
    git: Git, evidence: Evidence, commit: str, *, objects: Path, limit: timedelta = TIME_LIMIT
) -> Iterator[TakenHead]:
    """The same; what was copied is the repository's when nothing was raised in the context.

    Objects arrive as one checked pack, so a commit that is here is here with all it needs.
    """
    if tree := weights.find_tree_of_tip(git, commit):
        yield TakenHead(commit=commit, tree=tree)
        return
    if tree := _tree(git, commit):
        if not weights.came_before(git, commit):
            weights.refuse(git, commit)
        yield TakenHead(commit=commit, tree=tree)
        return
    with scratch(git) as directory:
        receiving = replace(git, objects=directory / "objects", borrowed=git.directory / "objects")
        try:
            _copy(git, receiving, commit, objects=objects, pack=directory / "pack", limit=limit)
            weights.refuse(receiving, commit)
            tree = _tree(receiving, commit)
        except GitFailed as error:
            raise unreadable(evidence.clone, f"the objects of {commit} are not whole ({error})") from error
        if not tree:
            raise unreadable(evidence.clone, f"its head {commit} is not a commit")
        yield TakenHead(commit=commit, tree=tree)
        stillness.need()
        packs = directory / "objects/pack"
        # A pack counts from the moment its index is there.
        for file in sorted(packs.iterdir(), key=lambda path: path.suffix == ".idx"):
            file.rename(git.directory / "objects/pack" / file.name)
        settle(git.directory / "objects/pack")


def _copy(git: Git, receiving: Git, commit: str, *, objects: Path, pack: Path, limit: timedelta) -> None:
    (pack.parent / "objects/pack").mkdir(parents=True)
    known = git.run("for-each-ref", "--format=^%(objectname)", "refs/heads", "refs/tags")
    with pack.open("w+b") as file:
        replace(git, borrowed=objects).run(
            "pack-objects", "--quiet", "--revs", "--thin", "--delta-base-offset", "--window=0", "--stdout",
            stdin=known + f"{commit}\n".encode(), stdout=file, timeout=limit,
        )  # fmt: skip
        file.seek(0)
        receiving.run("index-pack", "--stdin", "--fix-thin", "--strict", stdin=file, timeout=limit)


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
    names = _first([change.path for change in found])
    asked = _filters(found)
    raise Leftovers(
        f"The clone {evidence.clone} has uncommitted changes in {named(names, of=len(found))}: "
        f"commit them (or ignore or remove what does not belong), then signal READY again{_way_out(asked)}",
        {**said(names, of=len(found)), "filters": asked},
    )


def refuse_missing(git: Git, evidence: Evidence) -> None:
    """Bring along the large files (LFS) of a clone's head; raise `Conflict` naming those that are nowhere."""
    missing = {pointed.blob.encode() for pointed in lfs.bring_new(git, evidence.head, clone=evidence.clone)}
    if not missing:
        return
    with scratch(git) as directory:
        looking = agents_view(git, evidence, directory).git
        listed = looking.records("ls-tree", "-r", "-z", evidence.head)
        tracked = (line.partition(b"\t") for line in listed)
        paths = [path for about, _, path in tracked if about.split(b" ")[-1] in missing]
        # A text that only looks like a pointer is nobody's large file.
        asked = filters(looking, paths)
    gone = [path for path in paths if asked.get(path) == lfs.FILTER]
    names = _first(gone)
    if names:
        raise Conflict(
            f"The content of {named(names, of=len(gone))} is nowhere: {evidence.clone} has the pointer,"
            " and neither its .git/lfs/objects nor the pipeline's repository has what that names. Get it"
            " (`git lfs fetch`), or write the file anew, `git add` and commit it, then signal READY again",
            said(names, of=len(gone)),
        )


def said(paths: Sequence[str], *, of: int) -> dict[str, object]:
    """The details of a refusal that names the first *of* so many paths: the answer is short all the same."""
    left = of - len(paths)
    return {"paths": list(paths)} | ({"more": left} if left else {})


def _first(paths: Sequence[bytes]) -> list[str]:
    return [readable(path) for path in paths[:MOST_SAID]]


def _uncommitted(git: Git, evidence: Evidence) -> list[Change]:
    with scratch(git) as directory:
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
