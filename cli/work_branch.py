"""Brings the work of a pipeline into the repository it began from, as branch egg/<pipeline>.

It is the person's own git that works there, told to do nothing else: no hook, no other branch, no
configuration, neither HEAD nor index nor files change.
"""

import os
import shlex
import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from cli import typed
from egg_tasks.client import Json
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.lfs import copy_lfs
from egg_tasks.workspace.reach import of_this_person
from models.errors import EggError
from models.foreign import Shown, page
from models.git_names import result_branch
from models.states import PipelineStatus

SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.file.allow=always",
)
FETCH = ("fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head")
SECONDS = 600
MOST_NAMES = 100


class NotBroughtError(Exception):
    """The work could not be brought, and this is why."""


def bring(pipeline: Json) -> Shown:
    """Say where the work is and what to type next, once it is in the person's repository if it can be.

    It is brought when the pipeline is complete. A branch that is there is never moved; doing it again does
    nothing. What cannot be done is said, with the commands that do it by hand.
    """
    return page(_brought(pipeline))


def _brought(pipeline: Json) -> Sequence[str]:
    commit, source = pipeline.get("work_commit"), pipeline.get("repository")
    if not commit or not source:
        return []
    where = f"The work is on {pipeline['work_branch']} at {str(commit)[:10]}"
    if not os.access(source, os.R_OK | os.X_OK):
        return [f"{where} in {source}, which cannot be read from here."]
    repository = Path(pipeline["repo"])
    if not repository.is_absolute():
        return [f"{where}; in a clone of {pipeline['repo']}:", *_by_hand(pipeline, None)]
    if pipeline["status"] != PipelineStatus.COMPLETE:
        return [f"{where}; to have it in your repository:", *_by_hand(pipeline, repository)]
    try:
        branch = _bring(pipeline, repository, str(commit))
    except NotBroughtError as why:
        told = f"{where}. It was not brought to {repository}: {why}. By hand:"
        return [told, *_by_hand(pipeline, repository)]
    if branch != result_branch(pipeline["id"]):
        return [f"The work is in your repository already: branch {branch} holds {str(commit)[:10]}."]
    told = f"The work is in your repository, on branch {branch} at {str(commit)[:10]}:"
    return [told, *_lines(_commands(pipeline, repository, branch))]


def _bring(pipeline: Json, repository: Path, commit: str) -> str:
    """The branch of the person's repository that holds *commit*, made if there is none."""
    if owner := _owner_to_be_spared(repository):
        raise NotBroughtError(f"it belongs to {owner}, who could not write to what root leaves in it")
    branch = result_branch(pipeline["id"])
    likely = (branch, str(pipeline.get("base")))
    if holder := _holder(repository, commit, likely):
        return holder
    if taken := _in_the_way(branch, _heads(repository)):
        is_it = taken == branch
        raise NotBroughtError(
            f"it has a branch {taken} with other work"
            if is_it
            else f"git allows no {branch} beside its branch {taken}"
        )
    _git(repository, *FETCH, "--", pipeline["repository"], f"refs/heads/{pipeline['work_branch']}")
    _bring_large_files(pipeline, repository, commit)
    about = f"egg: the work of pipeline {pipeline['id']}"
    try:
        # The empty last word: only if no such branch is there, whoever else makes one just now.
        _git(repository, "update-ref", "-m", about, f"refs/heads/{branch}", commit, "")
    except NotBroughtError:
        if holder := _holder(repository, commit, likely):
            return holder
        raise
    return branch


def _bring_large_files(pipeline: Json, repository: Path, commit: str) -> None:
    """Copy the contents (LFS) that the work's pointers name, before a branch leads there."""
    common = _git(repository, "rev-parse", "--git-common-dir")
    try:
        copy_lfs(Git(Path(pipeline["repository"])), [commit], into=repository / common)
    except (EggError, GitFailed) as error:
        raise NotBroughtError(f"its large files (LFS) could not be copied ({error})") from error


def _owner_to_be_spared(repository: Path) -> str | None:
    """Whose repository it is, where root would leave files in it that its owner could not write to."""
    try:
        owner = repository.stat().st_uid
        return repository.owner() if os.geteuid() == 0 and owner != 0 else None
    except KeyError:
        return f"user {owner}"
    except OSError as error:
        raise NotBroughtError(f"it cannot be read ({error.strerror})") from error


def _holder(repository: Path, commit: str, likely: Sequence[str]) -> str | None:
    """A branch that holds *commit*: the first likely one, else any; None if there is none."""
    try:
        found = _git(
            repository, "for-each-ref", "--format=%(refname:lstrip=2)", "--contains", commit, "refs/heads"
        ).split("\n")
    except NotBroughtError:  # there is no such commit yet
        return None
    return next((branch for branch in (*likely, *found) if branch and branch in found), None)


def _heads(repository: Path) -> Collection[str]:
    """Every branch, and those that are checked out without a commit."""
    made = _git(repository, "for-each-ref", "--format=%(refname)", "refs/heads").splitlines()
    trees = _git(repository, "worktree", "list", "--porcelain").splitlines()
    named = [line.removeprefix("branch ") for line in trees if line.startswith("branch ")]
    return {ref.removeprefix("refs/heads/") for ref in [*made, *named]}


def _in_the_way(branch: str, heads: Collection[str]) -> str | None:
    """The branch because of which git cannot have this one: its own name, or a folder of it."""
    return next(
        (
            head
            for head in sorted(heads)
            if head == branch or head.startswith(f"{branch}/") or branch.startswith(f"{head}/")
        ),
        None,
    )


def _names(pipeline: str) -> Iterator[str]:
    """Names the branch may have, the best first."""
    for stem in (result_branch(pipeline), f"egg-{pipeline}"):
        yield stem
        yield from (f"{stem}-{number}" for number in range(2, MOST_NAMES))


def _by_hand(pipeline: Json, repository: Path | None) -> Sequence[str]:
    """The lines with which a person fetches the work into a repository, else into one where they stand."""
    git = _at(repository) if repository else "git"
    after: list[str] = []
    try:
        if repository and _owner_to_be_spared(repository):
            git = f"git -c 'safe.directory=*' -C {typed.path(repository)}"
            after = [f"chown -R --reference={typed.path(repository)} {typed.path(repository / '.git')}"]
        heads = _heads(repository) if repository else ()
    except NotBroughtError:
        heads = ()
    branch = next(name for name in _names(pipeline["id"]) if not _in_the_way(name, heads))
    fetch = f"fetch {shlex.quote(pipeline['repository'])} {pipeline['work_branch']}:{branch}"
    return _lines([*_large_files(pipeline, git), f"{git} {fetch}", *after, f"{git} log --stat {branch}"])


def _large_files(pipeline: Json, git: str) -> Iterator[str]:
    """The line that copies the contents of large files (LFS), if there are any: no fetch brings them."""
    contents = Path(pipeline["repository"]) / "lfs"
    if (contents / "objects").is_dir():
        store = f'"$({git} rev-parse --path-format=absolute --git-common-dir)"'
        yield f"cp -ru {shlex.quote(str(contents))} {store}"


def _commands(pipeline: Json, repository: Path, branch: str) -> Iterator[str]:
    """What a person does with a branch that is theirs."""
    base = pipeline.get("base") or "HEAD"
    if base == "HEAD":
        base = _answer(repository, "symbolic-ref", "--quiet", "--short", "HEAD") or base
    name = (
        f"heads/{branch}" if _answer(repository, "rev-parse", "-q", "--verify", f"tags/{branch}") else branch
    )
    if _answer(repository, "merge-base", "--end-of-options", base, name):
        yield f"{_at(repository)} diff {shlex.quote(f'{base}...{name}')}"
    else:
        yield f"{_at(repository)} log --stat {name}"
    if _answer(repository, "rev-parse", "--is-bare-repository") == "false":
        yield f"{_at(repository)} merge {name}"


def _at(repository: Path) -> str:
    """`git` as it is typed for this repository from here."""
    where = typed.path(repository)
    return "git" if where == "." else f"git -C {where}"


def _lines(commands: Iterable[str]) -> Sequence[str]:
    """Commands, each on a line of its own."""
    return [f"  {command}" for command in commands]


def _answer(repository: Path, *arguments: str) -> str:
    """What git says, or nothing when it says no."""
    try:
        return _git(repository, *arguments)
    except NotBroughtError:
        return ""


def _git(repository: Path, *arguments: str) -> str:
    """Run the person's git; its answer, or `NotBroughtError` with its reason."""
    environment = of_this_person(is_attended=False).variables
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, "-C", str(repository), *arguments],
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except OSError as error:
        raise NotBroughtError(f"git cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise NotBroughtError(f"git did not answer for {SECONDS} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotBroughtError(said[0].removeprefix("fatal: ").removeprefix("error: "))
    return done.stdout.decode(errors="surrogateescape").strip()
