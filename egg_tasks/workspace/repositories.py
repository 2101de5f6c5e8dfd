"""A pipeline's bare repository: copied once from the user's, which is only ever read."""

import re
from datetime import timedelta
from pathlib import Path

from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import move_ref, tip
from egg_tasks.workspace.names import COMMIT, branch_ref, work_branch
from egg_tasks.workspace.places import made_once
from models.errors import Rejected, Unavailable, Unprocessable

TRANSFER_LIMIT = timedelta(minutes=30)
# Our own branches stay behind: those of an earlier pipeline of the same name would pass for this one's.
REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "^refs/heads/egg", "^refs/heads/egg/*")
ABBREVIATED = re.compile(r"[0-9a-f]{7,64}")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/:]+:(?!:)")
REFUSED = re.compile(
    r"not found|does not exist|denied|authentication|could not read|not appear to be a git repo",
    re.IGNORECASE,
)


def prepare(repository: Path, pipeline_id: str, *, source: str, base: str) -> str:
    """Make the bare repository unless it is there, and its work branch; the commit *base* names.

    A repository that is there is not brought up to date: *base* means what it meant when it was made.
    """
    with made_once(repository, waits=False) as partial:
        if partial:
            _fetch(partial, checked_source(source), base)
            _start_work(Git(partial), pipeline_id, source=source, base=base)
    return _start_work(Git(repository), pipeline_id, source=source, base=base)


def checked_source(source: str) -> str:
    """The source as git should be given it: a URL as it is, a path absolute and there."""
    if source.startswith("-") or "::" in source.split("/", 1)[0] or "\0" in source:
        raise Unprocessable(f"The repository {source!r} is refused: give a path or an https, ssh or git URL")
    path = Path(source)
    if URL.match(source) and not path.exists():
        return source
    if not path.exists():
        raise Unprocessable(f"The repository {source!r} does not exist: give the path or URL of one")
    return str(path.resolve())


def _fetch(partial: Path, source: str, base: str) -> None:
    # Fetched, not cloned: a local clone would share files with the user's repository, or lean on its
    # alternates; and the user's own may belong to another account, which only a file can allow.
    trusting = partial / "egg-trust.conf"
    git = Git(partial, configuration=trusting)
    trusting.write_text('[safe]\n\tdirectory = "*"\n')
    refspecs = list(REFSPECS)
    if base == "HEAD" or COMMIT.fullmatch(base):
        refspecs.append(f"+{base}:{_base_ref(base)}")
    try:
        _initialize(git)
        git.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", source, *refspecs,
            timeout=TRANSFER_LIMIT,
        )  # fmt: skip
    except GitFailed as error:
        raise _unfetched(source, base, error) from error
    trusting.unlink()


def _initialize(git: Git) -> None:
    git.run("init", "--quiet", "--bare", "--template=")
    git.run("config", "gc.auto", "0")
    git.run("config", "gc.pruneExpire", "never")
    git.run("config", "maintenance.auto", "false")


def _unfetched(source: str, base: str, error: GitFailed) -> Rejected | Unavailable:
    reason = str(error).splitlines()[0].removeprefix("fatal: ")
    if "remote ref" in str(error) or "not our ref" in str(error):
        return _no_base(source, base)
    if Path(source).exists() or REFUSED.search(str(error)):
        return Unprocessable(f"The repository {source!r} cannot be read ({reason}): give one git can clone")
    return Unavailable(f"The repository {source!r} cannot be reached now: {reason}")


def _no_base(source: str, base: str) -> Unprocessable:
    return Unprocessable(f"{source!r} has no branch, tag or commit {base!r}: name one that it has, as `base`")


def _base_ref(base: str) -> str:
    return f"refs/egg/base/{base}"


def _resolve(git: Git, base: str) -> str | None:
    names = [f"refs/heads/{base}", f"refs/tags/{base}", _base_ref(base)]
    for name in [*names, base] if ABBREVIATED.fullmatch(base) else names:
        try:
            known, output = git.answers("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except GitFailed:
            continue
        if known:
            return output.decode().strip()
    return None


def _start_work(git: Git, pipeline_id: str, *, source: str, base: str) -> str:
    commit = _resolve(git, base)
    if commit is None:
        raise _no_base(source, base)
    branch = work_branch(pipeline_id)
    if tip(git, branch) is None:
        move_ref(git, branch_ref(branch), commit, expected=None)
    return commit
