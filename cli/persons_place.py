"""Where a person stands, and what of their repository a command is to leave alone."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli import local_branch, persons_git, typed
from cli.persons_git import GitSaidNoError
from cli.pipeline_work import PipelineWork
from models.errors import Conflict, Unprocessable
from models.foreign import named

NAMED = 5


@dataclass(frozen=True)
class Place:
    """A directory in the repository that a pipeline began from, or in one that shares its beginning."""

    directory: Path
    top: Path | None
    """Where its files begin; None in a bare one."""

    @property
    def branch(self) -> str | None:
        """What is checked out."""
        return persons_git.answer(self.directory, "symbolic-ref", "--quiet", "--short", "HEAD") or None

    @property
    def head(self) -> str:
        """The commit that is checked out; nothing where there is none yet."""
        return persons_git.answer(self.directory, "rev-parse", "--verify", "--quiet", "HEAD")

    @property
    def here(self) -> str:
        """What is checked out, in words."""
        return self.branch or f"HEAD at {self.head[:10]}"

    def uncommitted(self) -> list[str]:
        """The tracked files that are changed, staged or in conflict."""
        listed = persons_git.ask(
            self.directory, "--no-optional-locks", "status", "--porcelain=v2", "-z", "--no-renames",
            "--untracked-files=no",
        )  # fmt: skip
        return [_path(line) for line in listed.split("\0") if line[:2] in {"1 ", "u "}]

    def hooks_in_files(self) -> str | None:
        """Where the person's hooks are, if among their files, which whoever commits may change."""
        if self.top is None:
            return None
        where = ("rev-parse", "--path-format=absolute")
        folder = Path(persons_git.run(self.top, *where, "--git-path", "hooks").output.rstrip("\n"))
        own = persons_git.ask(self.top, *where, "--git-dir", "--git-common-dir").split("\n")
        gits, top = [Path(each).resolve() for each in own], self.top.resolve()
        said = persons_git.run(self.top, "config", "--type=path", "core.hooksPath").output.rstrip("\n")
        # Also by the name it has, and before it is listed: the work may bring what is not there yet, and
        # may put a folder where a link is.
        found = [top / said if said else folder, folder.resolve()]
        with suppress(OSError):
            found += [each.resolve() for each in folder.iterdir()]
        inside = (
            each for each in found if each.is_relative_to(top) and not any(map(each.is_relative_to, gits))
        )
        return next((str(each.relative_to(top)) for each in inside), None)


def _path(line: str) -> str:
    """The path in a line of `git status`, behind eight words about it, or ten about a conflict."""
    return line.split(" ", 10 if line.startswith("u") else 8)[-1]


def around(directory: Path, work: PipelineWork) -> Place | None:
    """The repository *directory* lies in, if the pipeline's work belongs in it."""
    if not persons_git.answer(directory, "rev-parse", "--git-dir"):
        return None
    base = str(work.pipeline["base_commit"])
    if not persons_git.answer(directory, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}"):
        return None
    top = persons_git.answer(directory, "rev-parse", "--show-toplevel")
    return Place(directory, Path(top) if top else None)


def to_work_in(directory: Path, work: PipelineWork, *, verb: str) -> Place:
    """The place whose files and branches are the person's to change; `Rejected` where it is none."""
    place = around(directory, work)
    if place is None:
        raise Unprocessable(_elsewhere(directory, work, verb))
    if place.top is None:
        raise Unprocessable(
            f"{directory} has no files to {verb} anything in: it is a bare repository; use a clone"
        )
    try:
        owner = local_branch.owner_to_be_spared(place.top)
    except GitSaidNoError as error:
        raise Unprocessable(f"{place.top}: {error}") from error
    if owner:
        raise Unprocessable(
            f"{place.top} belongs to {owner}, who could not write to what root leaves in it: "
            f"type this as {owner}"
        )
    return place


def refuse_uncommitted(place: Place, work: PipelineWork, *, verb: str) -> None:
    """Raise `Conflict` naming tracked files with uncommitted changes, which might be lost."""
    if found := place.uncommitted():
        raise Conflict(
            f"{place.top} has uncommitted changes in {named(found, most=NAMED)}: commit them or `git stash`, "
            f"then egg {verb} {work.name} again; to put the work on top of them: egg apply {work.name}",
            {"paths": found[:100]},
        )


def _elsewhere(directory: Path, work: PipelineWork, verb: str) -> str:
    repo, role = str(work.pipeline["repo"]), f" {work.role}" if work.role else ""
    if os.path.isabs(repo) and Path(repo).is_dir():  # noqa: PTH117
        where = f"go there, or: egg {verb} -C {typed.path(Path(repo))} {work.name}{role}"
    else:
        where = "type this in a clone of it"
    is_any = persons_git.answer(directory, "rev-parse", "--git-dir")
    what = (
        f"is in a repository that lacks the commit {work.name} began from "
        f"({str(work.pipeline['base_commit'])[:10]})"
        if is_any
        else "is in no git repository"
    )
    return f"{directory.resolve()} {what}; {work.name} began from {repo}: {where}"
