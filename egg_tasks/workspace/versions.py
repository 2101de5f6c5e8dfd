"""Taking what an agent committed, and finding what it did not."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egg_tasks.workspace.clones import Evidence, unreadable
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import readable
from models.errors import Conflict
from models.schemas.git import Taken

NAMED = 20


@contextmanager
def scratch(clone: Path) -> Iterator[Path]:
    """A directory for temporary files, beside the clone and never in it."""
    with tempfile.TemporaryDirectory(prefix=f"{clone.name}.look-", dir=clone.parent) as directory:
        yield Path(directory)


def fetch(git: Git, evidence: Evidence) -> Taken:
    """Copy the objects of the clone's head into the pipeline's repository unless it holds them.

    Runs in the pipeline's repository with the clone's objects borrowed, never in the clone: a fetch
    would start upload-pack there, under a configuration the agent writes. Raises `Conflict` when objects
    are missing or broken.
    """
    return bring(git, evidence, evidence.head, objects=evidence.objects)


def bring(git: Git, evidence: Evidence, commit: str, *, objects: Path) -> Taken:
    """Copy a commit, and all it needs, from an object directory unless the repository holds it.

    Objects arrive as one checked pack, so a commit that is here is here with all it needs.
    """
    if tree := _tree(git, commit):
        return Taken(commit=commit, tree=tree)
    borrowing = Git(git.directory, borrowed=objects)
    known = git.run("for-each-ref", "--format=^%(objectname)", "refs/heads", "refs/tags")
    with scratch(evidence.clone) as directory, (directory / "pack").open("w+b") as pack:
        try:
            borrowing.run(
                "pack-objects", "--quiet", "--revs", "--thin", "--delta-base-offset", "--stdout",
                stdin=known + f"{commit}\n".encode(), stdout=pack,
            )  # fmt: skip
            pack.seek(0)
            git.run("index-pack", "--stdin", "--fix-thin", "--strict", stdin=pack)
        except GitFailed as error:
            raise unreadable(evidence.clone, f"the objects of {commit} are not whole ({error})") from error
    tree = _tree(git, commit)
    if not tree:
        raise unreadable(evidence.clone, f"its head {commit} is not a commit")
    return Taken(commit=commit, tree=tree)


def refuse_uncommitted(git: Git, evidence: Evidence, index: Path) -> None:
    """Raise `Conflict` naming what the clone's head does not hold."""
    if evidence.unfinished:
        raise Conflict(
            f"The clone {evidence.clone} is in the middle of a {evidence.unfinished}: "
            "finish or abort it, commit, then signal READY again",
            {"unfinished": evidence.unfinished},
        )
    with scratch(evidence.clone) as directory:
        paths = sorted(uncommitted(git, evidence, directory, index=index))
    if paths:
        names = [readable(path) for path in paths]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise Conflict(
            f"The clone {evidence.clone} has uncommitted changes in {', '.join(names[:NAMED])}{more}: "
            "commit them (or ignore or remove what does not belong), then signal READY again",
            {"paths": names},
        )


def uncommitted(git: Git, evidence: Evidence, directory: Path, *, index: Path) -> set[bytes]:
    """Paths in which the clone's files, or what its agent has staged, differ from its head."""
    looking = look(git, evidence, directory, index=index)
    return changed(looking) | staged(git, evidence, directory)


def look(git: Git, evidence: Evidence, directory: Path, *, index: Path) -> Git:
    """Git over the clone's files, with an index of ours that holds its head."""
    ours = directory / "index"
    if index.exists():
        ours.write_bytes(index.read_bytes())
    looking = git.within(evidence.clone, index=ours, excludes=evidence.excludes)
    looking.run("read-tree", "-i", "-m", evidence.head)
    return looking


def changed(looking: Git) -> set[bytes]:
    """Paths whose files differ from the index, are gone, or are new and not ignored."""
    # Not `status` or `diff`: those start git in submodules, where the configuration is the agent's.
    listed = looking.run("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard")
    return {path for path in listed.split(b"\0") if path}


def staged(git: Git, evidence: Evidence, directory: Path) -> set[bytes]:
    """Paths whose entry in the agent's own index differs from its head: ignored files added by force, too."""
    content = evidence.index()
    if content is None:
        return set()
    copy = directory / "theirs"
    copy.write_bytes(content)
    reading = Git(git.directory, index=copy, borrowed=evidence.objects)
    try:
        listed = reading.run("diff-index", "--cached", "--name-only", "--no-renames", "-z", evidence.head)
    except GitFailed as error:
        raise unreadable(evidence.clone, f"its index is broken ({error}); try `git reset`") from error
    return {path for path in listed.split(b"\0") if path}


def _tree(git: Git, commit: str) -> str | None:
    answer = git.run(
        "cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=f"{commit}^{{tree}}\n".encode()
    )
    kind, _, tree = answer.decode().strip().partition(" ")
    return tree if kind == "tree" else None
