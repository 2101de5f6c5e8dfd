"""The work of a pipeline, or of one of its roles, as it is now: read from the pipeline's own repository."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from egg_tasks.client import Client, Json
from egg_tasks.workspace.git import Git, GitFailed
from models.errors import Conflict, NotFound, Unprocessable
from models.foreign import named
from models.git_names import result_branch, role_branch
from models.states import PipelineStatus

START = ("refs/egg/start", "refs/egg/base/")
"""What the base stood for when the pipeline began, and whenever it came in anew."""


@dataclass(frozen=True)
class PipelineWork:
    """What there is of it: a commit in a repository of ours, and where the pipeline's own changes begin."""

    pipeline: Json
    role: str | None
    commit: str
    start: str
    """The newest commit of the base that it holds."""

    @property
    def name(self) -> str:
        """The pipeline's id."""
        return str(self.pipeline["id"])

    @property
    def source(self) -> Path:
        """The pipeline's own repository."""
        return Path(self.pipeline["repository"])

    @property
    def ref(self) -> str:
        """What leads to it there."""
        branch = role_branch(self.name, self.role) if self.role else self.pipeline["work_branch"]
        return f"refs/heads/{branch}"

    @property
    def branch(self) -> str:
        """What it is called in the person's repository. No id of a pipeline has an @ in it."""
        return f"{result_branch(self.name)}{f'@{self.role}' if self.role else ''}"

    @property
    def is_final(self) -> bool:
        """Whether it is what all have agreed on."""
        return self.role is None and self.pipeline["status"] == PipelineStatus.COMPLETE


def find(client: Client, name: str, role: str | None) -> PipelineWork:
    """The work there is; `Rejected`, with the way out, where there is none or it is out of reach."""
    try:
        pipeline = client.get(f"/pipelines/{name}")["pipeline"]
    except NotFound as error:
        raise NotFound(f"{error.message}{_alike(client, name)}", error.details) from error
    known = dict.fromkeys(
        str(each["role"]) for phase in pipeline["definition"]["phases"] for each in phase["roles"]
    )
    if role is not None and role not in known:
        near = get_close_matches(role.casefold(), known, n=1)
        meant = f"did you mean `{near[0]}`? It has" if near else "it has"
        raise NotFound(f"{name} has no role `{role}`: {meant} {named(list(known))}", {"roles": list(known)})
    if not pipeline.get("work_commit"):
        raise Conflict(f"{name} is {pipeline['status']} and has no repository yet: see egg why {name}")
    git = _reached(pipeline)
    work = PipelineWork(pipeline, role, "", "")
    commit = _tip(git, work.ref)
    if commit is None:
        whose = f"{role} of {name}" if role else name
        raise Conflict(f"{whose} has no commit yet: see egg status, egg agent list {name}")
    return PipelineWork(pipeline, role, commit, _start(git, commit) or str(pipeline["base_commit"]))


def _reached(pipeline: Json) -> Git:
    """The pipeline's own repository, if that is on this machine and may be read."""
    source, name = Path(pipeline["repository"]), pipeline["id"]
    elsewhere = (
        f"type this on the machine of the server, or fetch from it: git fetch ssh://HOST{source}"
        f" {pipeline['work_branch']}:{result_branch(name)}"
    )
    if not source.exists():
        raise Unprocessable(
            f"the work of {name} is in {source} on another machine, and egg brings none over the network "
            f"yet: {elsewhere}"
        )
    if not os.access(source, os.R_OK | os.X_OK):
        owner = source.stat().st_uid
        raise Unprocessable(
            f"the work of {name} is in {source}, which you may not read: type this as its owner "
            f"(user {owner})"
        )
    git = Git(source)
    if _tip(git, str(pipeline["work_commit"])) is None:
        raise Unprocessable(
            f"{source} on this machine is not the repository of {name}, which the server has on its own: "
            f"{elsewhere}"
        )
    return git


def _tip(git: Git, name: str) -> str | None:
    try:
        known, output = git.answers("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except GitFailed:
        return None
    return output.decode().strip() if known else None


def _start(git: Git, commit: str) -> str | None:
    """The newest commit of the base that is part of the work."""
    found: Sequence[str] = git.lines("for-each-ref", "--format=%(objectname)", f"--merged={commit}", *START)
    if len(set(found)) < 2:  # noqa: PLR2004
        return next(iter(found), None)
    return git.lines("merge-base", "--independent", *sorted(set(found)))[0]


def _alike(client: Client, name: str) -> str:
    """The pipelines whose names are nearly this one."""
    found = [str(each["id"]) for each in client.get("/pipelines", {"limit": 100})["pipelines"]]
    near = get_close_matches(name, found, n=2)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    kept = f"; what was brought of it is a branch {result_branch(name)} of your repository"
    return f"{kept}: git log {result_branch(name)}"
