"""A person's own repository, which is only ever read: what it is, what a base names in it, what it lacks."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.reach import of_this_person, parameters
from models.errors import Unavailable
from models.schemas.fault import Fault, Faulty, meant

PROMISOR = r"^remote\..*\.promisor$"
NO_NETWORK = "none"
"""Names no protocol, so that a repository that lacks objects makes git start nothing to get them."""
BORROWED = re.compile(r"object directory (.*) does not exist; check|normalize alternate object path: (.*)")
RUN = re.compile(r"runs/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The last two names of a run's directory, in whatever EGG_HOME."""
STATUS_LIMIT = timedelta(seconds=20)


class Visit(Git):
    """Git at a path of somebody's, found as git finds it; it writes nothing and reaches nobody."""

    def _environment(self) -> Iterator[tuple[str, str]]:
        yield from (pair for pair in super()._environment() if pair[0] != "GIT_DIR")
        yield "GIT_ALLOW_PROTOCOL", NO_NETWORK
        yield "GIT_NO_LAZY_FETCH", "1"
        yield "GIT_OPTIONAL_LOCKS", "0"


class PersonsVisit(Git):
    """The person's own git at a path of theirs: it knows their filters, and whose directories they trust."""

    def _environment(self) -> Iterator[tuple[str, str]]:
        variables = of_this_person(is_attended=False).variables
        yield from variables.items()
        yield "LC_ALL", "C.UTF-8"
        yield "GIT_OPTIONAL_LOCKS", "0"
        settings = (("core.hooksPath", os.devnull), ("core.fsmonitor", "false"))
        yield "GIT_CONFIG_PARAMETERS", parameters(variables, settings)


@dataclass(frozen=True)
class Source:
    """A repository on this machine's disk that has commits: a clone, bare, or a linked worktree."""

    path: Path
    git: Git
    has_files: bool
    """Whether a person works in it: a bare one holds commits alone."""

    @property
    def object_format(self) -> str:
        """The hash its names are made with: sha1 or sha256."""
        return self.git.line("rev-parse", "--show-object-format")

    @property
    def promisors(self) -> tuple[str, ...]:
        """The remotes that hold the objects a partial clone left there; none for a whole one."""
        known, output = self.git.answers("config", "--name-only", "--get-regexp", PROMISOR)
        names = output.decode("utf-8", "surrogateescape").split() if known else []
        return tuple(name.removeprefix("remote.").removesuffix(".promisor") for name in names)

    def url(self, remote: str) -> str:
        """Where a remote of it is."""
        return self.git.line("config", "--get", f"remote.{remote}.url")

    def commit_of(self, base: str | None) -> str:
        """The commit that *base* names, in git's own words; HEAD's for None. `Faulty` if there is none."""
        try:
            # In two steps: `:/words^{commit}` would look for other words.
            found = self.git.line("rev-parse", "--verify", "--end-of-options", base or "HEAD")
            return self.git.line("rev-parse", "--verify", f"{found}^{{commit}}")
        except GitFailed as error:
            raise Faulty.of([self._nothing(base, str(error))]) from error

    def lacks_objects(self, commit: str) -> bool:
        """Whether something that *commit* or its history holds is not here. Reads the whole history."""
        listed = self.git.run("rev-list", "--objects", "--missing=print", commit)
        return any(line.startswith(b"?") for line in listed.splitlines())

    def refs(self) -> Mapping[str, str]:
        """What its branches and tags stand for, by their full names."""
        listed = self.git.lines(
            "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags"
        )
        return {name: commit for commit, _, name in (line.partition(" ") for line in listed)}

    def modes(self, commit: str, paths: Sequence[str]) -> Mapping[str, str]:
        """The modes (100644, 100755, 120000, 160000, 040000) of those of *paths* that *commit* holds."""
        listed = self.git.run("ls-tree", "-z", commit, "--", *paths).decode("utf-8", "surrogateescape")
        entries = (entry.partition("\t") for entry in listed.split("\0") if entry)
        return {path: about.split()[0] for about, _, path in entries}

    def uncommitted(self) -> frozenset[str] | None:
        """Paths of files that no commit holds as they are; None where the person's git does not say.

        It is not asked in an agent's clone, whose configuration names programs of the agent's.
        """
        if not self.has_files:
            return frozenset()
        if is_agents(self.path):
            return None
        look = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
        try:
            listed = PersonsVisit(self.path).run(*look, timeout=STATUS_LIMIT)
        except (GitFailed, Unavailable):
            return None
        return frozenset(line[3:] for line in listed.decode("utf-8", "surrogateescape").split("\0") if line)

    def _nothing(self, base: str | None, said: str) -> Fault:
        if broken := BORROWED.search(said):
            return Fault(
                ("repo",),
                f"{self.path} borrows objects from {broken[1] or broken[2]}, which is not there: "
                "bring that back, or name another clone",
            )
        branches = self.git.lines("for-each-ref", "--format=%(refname:short)", "--count=1000", "refs/heads")
        if base is not None and (branches or self._has_head()):
            return Fault(("base",), self._no_base(base, branches, said))
        if branches:
            return Fault(
                ("repo",),
                f"{self.path} has no commit at its HEAD; name what to start from as `base`: {branches[0]}",
            )
        return Fault(("repo",), f"{self.path} has no commit yet; make one with `git commit`")

    def _no_base(self, base: str, branches: list[str], said: str) -> str:
        reason = said.splitlines()[0].removeprefix("fatal: ").removeprefix("error: ")
        hint = meant(base, branches)
        if not hint and "single revision" not in reason:
            hint = f" ({reason})"
        elif not hint and self.git.line("rev-parse", "--is-shallow-repository") == "true":
            hint = " (its history is cut short: `git fetch --unshallow` brings the rest)"
        return f"no branch, tag or commit `{base}` in {self.path}{hint}"

    def _has_head(self) -> bool:
        return self.git.answers("rev-parse", "--verify", "--quiet", "HEAD")[0]


def is_agents(path: Path) -> bool:
    """Whether a path lies in the directory of a run, where an agent writes what it likes."""
    real = path.resolve()
    return any(RUN.fullmatch(str(each.relative_to(each.parents[1]))) for each in (real, *real.parents[:-2]))


def visit(path: Path) -> Source:
    """The repository whose top, or whose bare directory, *path* is; `Faulty` at `repo` if it is none."""
    try:
        if not path.is_dir():
            raise _fault(f"{path} is not a directory" if path.exists() else f"{path} does not exist")
    except OSError as error:
        raise _fault(f"{path} cannot be read ({error.strerror}): let this user read it") from error
    git = Visit(path)
    try:
        bare, inside, directory, prefix = git.lines(
            "rev-parse", "--is-bare-repository", "--is-inside-git-dir", "--absolute-git-dir", "--show-prefix"
        )
    except GitFailed as error:
        raise _fault(_unreadable(path, str(error))) from error
    is_inside = "true" in {bare, inside}
    if is_inside and Path(directory).resolve() != path.resolve():
        raise _fault(f"{path} lies inside a repository; name its top, {directory}")
    if prefix:
        top = git.line("rev-parse", "--show-toplevel")
        raise _fault(f"{path} lies inside a repository; name its top, {top}")
    return Source(path, git, has_files=not is_inside)


def _fault(sentence: str) -> Faulty:
    return Faulty.of([Fault(("repo",), sentence)])


def _unreadable(path: Path, said: str) -> str:
    reason = said.splitlines()[0].removeprefix("fatal: ")
    if reason.startswith("not a git repository (or any") and not os.path.lexists(path / ".git"):
        return f"{path} is not a git repository; make one with `git init`"
    if reason.startswith("not a git repository: "):
        gone = reason.removeprefix("not a git repository: ")
        way = "mend it with `git worktree repair`, or name another"
        return f"{path} is a worktree whose repository {gone} is gone: {way}"
    return f"{path} cannot be read by git ({reason}): see what `git -C {path} status` says"
