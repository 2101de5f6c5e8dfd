"""The repository somebody stands in, as a definition to begin with needs it: top, branch, files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from egg_tasks.workspace import sources
from egg_tasks.workspace.git import GitFailed
from egg_tasks.workspace.sources import Source, Visit
from models.errors import Unprocessable
from models.schemas.fault import Faulty

LARGEST_FILE = 1024 * 1024
"""Files that say how to test are small; of a larger one only its name counts."""
EXECUTABLE = "100755"


@dataclass(frozen=True)
class Own:
    """A repository with files that somebody works in, and at least one commit."""

    source: Source
    commit: str
    branch: str | None
    """What is checked out; None where no branch is."""
    base: str | None
    """The same as a definition's `base` says it; None where HEAD alone leads there."""
    usual: str | None
    """The branch that its origin goes by, where that is known and another one."""

    @property
    def top(self) -> Path:
        """Where its files begin."""
        return self.source.path

    @cached_property
    def modes(self) -> Mapping[str, str]:
        """The files at its top, as they are committed, each with its mode."""
        listed = self.source.git.run("ls-tree", "-z", self.commit).decode("utf-8", "surrogateescape")
        entries = (entry.partition("\t") for entry in listed.split("\0") if entry)
        return {name: about.split()[0] for about, _, name in entries}

    def text(self, path: str) -> str:
        """What a committed file holds; nothing for one that is not there, is none, or is very large."""
        git = self.source.git
        try:
            entry = git.line("ls-tree", "--long", "--full-tree", self.commit, "--", path).split()
            if len(entry) < 4 or not entry[3].isdecimal() or int(entry[3]) > LARGEST_FILE:  # noqa: PLR2004
                return ""
            return git.run("cat-file", "blob", entry[2]).decode("utf-8", "replace")
        except GitFailed:
            return ""


def around(directory: Path) -> Own:
    """The repository that *directory* lies in; `Unprocessable`, with the way out, where none can be used."""
    top = _top(directory)
    source = sources.visit(top)
    try:
        commit = source.commit_of(None)
    except Faulty as error:
        raise _unborn(source, error) from error
    found, output = source.git.answers("symbolic-ref", "--quiet", "--short", "HEAD")
    branch = output.decode("utf-8", "surrogateescape").strip() if found else None
    return Own(source, commit, branch, _base(source, branch), _usual(source, branch))


def _top(directory: Path) -> Path:
    if not directory.is_dir():
        raise Unprocessable(f"{directory} is not a directory: name a repository, or one in it")
    git = Visit(directory.resolve())
    try:
        if git.line("rev-parse", "--is-inside-work-tree") == "true":
            return Path(git.line("rev-parse", "--show-toplevel"))
        is_bare = git.line("rev-parse", "--is-bare-repository") == "true"
    except GitFailed as error:
        reason = str(error).splitlines()[0].removeprefix("fatal: ")
        if reason.startswith("not a git repository (or any"):
            raise Unprocessable(
                f"{directory.resolve()} is in no git repository: go to yours, or make one here with "
                "`git init`, `git add --all` and `git commit`"
            ) from error
        raise Unprocessable(f"git cannot read {directory.resolve()} ({reason}): see `git status`") from error
    if is_bare:
        raise Unprocessable(
            f"{directory.resolve()} is a bare repository, without files to find a test command in: "
            "`git clone` it, and type `egg init` in the clone"
        )
    raise Unprocessable(f"{directory.resolve()} is git's own directory: go up to where your files are")


def _unborn(source: Source, error: Faulty) -> Unprocessable:
    branches = source.git.lines("for-each-ref", "--format=%(refname:short)", "--count=1", "refs/heads")
    if branches:
        return Unprocessable(
            f"HEAD of {source.path} has no commit, but there are branches: `git switch {branches[0]}` first"
        )
    if len(error.faults) == 1 and "has no commit yet" in error.faults[0].message:
        return Unprocessable(
            f"{source.path} has no commit yet, and agents start from one: `git add --all`, then `git commit`,"
            " then `egg init` again"
        )
    return Unprocessable(error.message)


def _base(source: Source, branch: str | None) -> str | None:
    """The branch as `base` takes it: by its whole name where a tag goes by the short one."""
    if branch is None or not branch.isprintable():
        return None
    is_tag, _ = source.git.answers("rev-parse", "--verify", "--quiet", f"refs/tags/{branch}")
    return f"refs/heads/{branch}" if is_tag else branch


def _usual(source: Source, branch: str | None) -> str | None:
    found, output = source.git.answers("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    usual = output.decode("utf-8", "replace").strip().removeprefix("origin/") if found else ""
    return usual if usual and usual.isprintable() and usual != branch else None
