"""Brings the work of a pipeline into the repository it began from, as branch egg/<pipeline>.

It is the person's own git that works there, told to do nothing else: no hook, no other branch, no
configuration, neither HEAD nor index nor files change.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cli import local_branch, persons_git, typed
from cli.persons_git import GitSaidNoError
from egg_tasks.client import Json
from models.foreign import Shown, page
from models.git_names import result_branch
from models.states import PipelineStatus


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
    except GitSaidNoError as why:
        told = f"{where}. It was not brought to {repository}: {why}. By hand:"
        return [told, *_by_hand(pipeline, repository)]
    if branch != result_branch(pipeline["id"]):
        return [f"The work is in your repository already: branch {branch} holds {str(commit)[:10]}."]
    told = f"The work is in your repository, on branch {branch} at {str(commit)[:10]}:"
    return [told, *_lines(_commands(pipeline, repository, branch))]


def _bring(pipeline: Json, repository: Path, commit: str) -> str:
    """The branch of the person's repository that holds *commit*, made or moved on if there is none."""
    if owner := local_branch.owner_to_be_spared(repository):
        raise GitSaidNoError(f"it belongs to {owner}, who could not write to what root leaves in it")
    branch = result_branch(pipeline["id"])
    likely = (branch, str(pipeline.get("base")))
    if holder := local_branch.holder(repository, commit, likely):
        return holder
    taken = local_branch.in_the_way(branch, local_branch.heads(repository))
    if taken and taken != branch:
        raise GitSaidNoError(f"git allows no {branch} beside its branch {taken}")
    ref = f"refs/heads/{pipeline['work_branch']}"
    local_branch.fetch(repository, source=Path(pipeline["repository"]), ref=ref, commit=commit)
    if local_branch.held(repository, commit=commit, name=branch, pipeline=pipeline["id"]):
        return branch
    raise GitSaidNoError(f"it has a branch {branch} with other work")


def _by_hand(pipeline: Json, repository: Path | None) -> Sequence[str]:
    """The lines with which a person fetches the work into a repository, else into one where they stand."""
    git = at(repository) if repository else "git"
    after: list[str] = []
    try:
        if repository and local_branch.owner_to_be_spared(repository):
            git = f"git -c 'safe.directory=*' -C {typed.path(repository)}"
            after = [f"chown -R --reference={typed.path(repository)} {typed.path(repository / '.git')}"]
        heads = local_branch.heads(repository) if repository else ()
    except GitSaidNoError:
        heads = ()
    wanted = result_branch(pipeline["id"])
    branch = next(name for name in local_branch.names(wanted) if not local_branch.in_the_way(name, heads))
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
        base = persons_git.answer(repository, "symbolic-ref", "--quiet", "--short", "HEAD") or base
    name = (
        f"heads/{branch}"
        if persons_git.answer(repository, "rev-parse", "-q", "--verify", f"tags/{branch}")
        else branch
    )
    if persons_git.answer(repository, "merge-base", "--end-of-options", base, name):
        yield f"{at(repository)} diff {shlex.quote(f'{base}...{name}')}"
    else:
        yield f"{at(repository)} log --stat {name}"
    if persons_git.answer(repository, "rev-parse", "--is-bare-repository") == "false":
        yield f"{at(repository)} merge {name}"


def at(repository: Path) -> str:
    """`git` as it is typed for this repository from here."""
    where = typed.path(repository)
    return "git" if where == "." else f"git -C {where}"


def _lines(commands: Iterable[str]) -> Sequence[str]:
    """Commands, each on a line of its own."""
    return [f"  {command}" for command in commands]
