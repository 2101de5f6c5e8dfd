"""A pipeline's bare repository: copied once from the user's, which is only ever read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from egg_tasks.foreign_files import LARGEST_REF, read_plain, write_plain
from egg_tasks.workspace import packed_refs, remotes, sources, submodules
from egg_tasks.workspace.atomic_directory import made_once
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import move_ref, tip
from egg_tasks.workspace.names import COMMIT, START, branch_ref
from egg_tasks.workspace.origins import Origin
from egg_tasks.workspace.reach import Reach, ReachingGit
from egg_tasks.workspace.remotes import Remote
from egg_tasks.workspace.sources import Source
from models.errors import Conflict, Unavailable, Unprocessable
from models.git_names import work_branch
from models.masking import masked
from models.schemas.fault import Fault, Faulty
from models.schemas.source import is_fit, is_remote, local_path, refused, split

TRANSFER_LIMIT = timedelta(minutes=30)
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
# What serves a repository on this disk must not start anything to get objects that it lacks.
SERVING = f"env GIT_ALLOW_PROTOCOL={sources.NO_NETWORK} GIT_NO_LAZY_FETCH=1 git upload-pack"
OWNER = "egg-owner"
"""The file that says for which of all pipelines that ever had its name a repository was made."""
UNKNOWN = re.compile(r"not our ref|remote ref|unadvertised object")
LACKING = re.compile(
    r"promisor remote|lazy fetching disabled|missing blob|bad tree object|unable to read tree"
)


def prepare(
    repository: Path, pipeline_id: str, *, source: str, base: str | None, reach: Reach, owner: str
) -> str:
    """Make the bare repository unless it is there, and its work branch; the commit *base* names.

    A repository that is there is not brought up to date: *base* means what it meant when it was made.
    `Conflict` if it was made for another *owner*.
    """
    with made_once(repository, waits=False) as partial:
        if partial:
            copy(partial, source=source, base=base, reach=reach)
    if not is_of(repository, owner):
        raise Conflict(f"{repository} was made for another pipeline of this name")
    if owner:
        # Also what came in with the pipeline's creation, and of earlier releases: whoever prepares it has it.
        write_plain(repository, OWNER, owner)
    git = Git(repository)
    commit = _start(git) or _resolve(git, base or "HEAD")
    if commit is None:
        raise _no_base(source, base)
    branch = work_branch(pipeline_id)
    if tip(git, branch) is None:
        move_ref(git, branch_ref(branch), commit, expected=None)
    return commit


def is_of(repository: Path, owner: str) -> bool:
    """Whether a repository was made for this owner, or does not say for whom."""
    said = read_plain(repository, OWNER, limit=LARGEST_REF)
    return said is None or said.decode(errors="replace") == owner


def copy(directory: Path, *, source: str, base: str | None, reach: Reach) -> str:
    """Fill an empty directory with a bare copy of *source*, and keep what *base* names in it; that commit.

    Its submodules are held with it. Branches called `egg/…` are not copied. `Faulty` or `Unprocessable`
    when source or base are not to be had, `Unavailable` when the source cannot be reached now.
    """
    if is_remote(source):
        commit, origin = _copy_remote(directory, source, base, reach), Origin((source,))
    else:
        here = _visited(source)
        commit, origin = _copy_local(directory, here, base, reach), Origin.here(here)
    submodules.hold(Git(directory), commit, origin=origin, reach=reach)
    return commit


def _copy_remote(directory: Path, source: str, base: str | None, reach: Reach) -> str:
    remote = remotes.look(source, reach, directory=directory)
    git = ReachingGit(directory, reach=reach.with_credential(split(source)[1]))
    try:
        ref = remote.ref(base)
        _initialize(directory, remote.object_format)
        wanted = ["+HEAD:" + START] if ref == "HEAD" else []
        _fetch_listed(git, remote, *wanted)
        if known := _commit(git, ref or str(base)):
            git.run("update-ref", START, known)
        elif not wanted:
            git.run(*FETCH, "--", remote.source, f"+{ref or base}:{START}", timeout=TRANSFER_LIMIT)
    except GitFailed as error:
        if UNKNOWN.search(str(error)):
            raise _no_base(source, base) from error
        raise remotes.unreadable(remote.source, error) from error
    return _started(Git(directory), source, base)


def _fetch_listed(git: ReachingGit, remote: Remote, *wanted: str) -> None:
    """Fetch what a repository said that it has; `Unavailable` where that has changed since."""
    try:
        _fetch_all(git, remote.source, remote.refs, *wanted)
    except GitFailed as error:
        if UNKNOWN.search(str(error)):
            raise Unavailable(f"{remote.source} changed while it was copied; it is copied anew") from error
        raise


def checked_path(source: str) -> Path:
    """The directory a source names; `Unprocessable` for what git would take for something else."""
    path = local_path(source)
    if not is_fit(path):
        raise refused(source)
    return Path(path).absolute()


def _visited(source: str) -> Source:
    return sources.visit(checked_path(source))


def _copy_local(directory: Path, source: Source, base: str | None, reach: Reach) -> str:
    commit = source.commit_of(base)
    _initialize(directory, source.object_format)
    try:
        _fetch_local(directory, source, commit)
    except GitFailed as error:
        if not (source.promisors and LACKING.search(str(error))):
            raise uncopied(source, str(error)) from error
        _fetch_promised(directory, source, reach)
        try:
            _fetch_local(directory, source, commit)
        except GitFailed as again:
            raise lacking(source, masked(str(again)).splitlines()[0]) from again
    return _started(Git(directory), str(source.path), base)


def _fetch_local(directory: Path, source: Source, commit: str) -> None:
    # Fetched, not cloned: a local clone would share files with the user's repository, or lean on its
    # alternates.
    options = ("--update-shallow", "--upload-pack", SERVING)
    wanted = f"+{commit}:{START}"
    with trusting(directory) as git:
        _fetch_all(git, str(source.path), source.refs(), wanted, options=options)


def _fetch_all(
    git: Git, source: str, refs: Mapping[str, str], *wanted: str, options: Sequence[str] = ()
) -> None:
    """Fetch what branches and tags stand for, and what else is *wanted*, and name it in one file.

    Our own branches stay behind: those of an earlier pipeline of the same name would pass for this one's.
    git is asked for commits, not for names: it would make a file for each, which takes minutes for 100,000.
    """
    copied = packed_refs.copied(refs)
    asked = "".join(f"{line}\n" for line in (*sorted(set(copied.values())), *wanted))
    git.run(*FETCH, *options, "--stdin", "--", source, stdin=asked.encode(), timeout=TRANSFER_LIMIT)
    packed_refs.write(git.directory, copied)


def _fetch_promised(directory: Path, source: Source, reach: Reach) -> None:
    """Copy what a partial clone left at its remotes: into our copy, since the clone is the user's."""
    for name in source.promisors:
        url = source.url(name)
        refspec = f"+refs/heads/*:refs/egg/promised/{name}/*"
        try:
            if not is_remote(url):
                _fetch_beside(directory, source, url, refspec)
                continue
            plain, credential = remotes.checked_url(url), split(url)[1]
            git = ReachingGit(directory, reach=reach.with_credential(credential))
            git.run(*FETCH, "--", plain, refspec, "+refs/tags/*:refs/tags/*", timeout=TRANSFER_LIMIT)
        except (GitFailed, Unprocessable) as error:
            reason = masked(str(error)).splitlines()[0].removeprefix("fatal: ").removeprefix("repo: ")
            raise lacking(source, reason) from error


def _fetch_beside(directory: Path, source: Source, url: str, refspec: str) -> None:
    beside = _visited(str(source.path / local_path(url)))
    with trusting(directory) as git:
        git.run(*FETCH, "--upload-pack", SERVING, "--", str(beside.path), refspec, timeout=TRANSFER_LIMIT)


@contextmanager
def trusting(directory: Path) -> Iterator[Git]:
    """Git that reads repositories of other accounts, as only a file allows; it goes with the context."""
    # One for each: several may read at once.
    file = directory / f"egg-trust-{uuid4().hex}.conf"
    file.write_text('[safe]\n\tdirectory = "*"\n')
    try:
        yield Git(directory, configuration=file)
    finally:
        file.unlink(missing_ok=True)


def lacking(source: Source, reason: str) -> Faulty:
    """The refusal of a partial clone whose objects cannot be had."""
    name = next(iter(source.promisors), "origin")
    sentence = (
        f"{source.path} is a partial clone, and what it lacks cannot be had ({reason}): bring it there with "
        f"`git -C {source.path} fetch --refetch --no-filter {name}`, or name another clone"
    )
    return Faulty.of([Fault(("repo",), sentence)])


def _initialize(directory: Path, object_format: str) -> None:
    git = Git(directory)
    # Whoever has what is in it may read it, whatever our umask: agents in containers do.
    git.run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", "--shared=0644")
    # It may be private, and to all others it is closed.
    directory.chmod(0o700)
    git.run("config", "gc.auto", "0")
    git.run("config", "gc.pruneExpire", "never")
    git.run("config", "maintenance.auto", "false")


def uncopied(source: Source, said: str) -> Faulty | Unavailable:
    """Why a repository on this disk could not be copied."""
    reason = next((line for line in said.splitlines() if "fatal: " in line), said.splitlines()[0])
    if remotes.FULL.search(said):
        return remotes.full(reason)
    sentence = f"{source.path} cannot be copied ({reason}): look at it with `git -C {source.path} fsck`"
    return Faulty.of([Fault(("repo",), sentence)])


def _no_base(source: str, base: str | None) -> Faulty:
    shown = masked(source)
    return Faulty.of(
        [Fault(("base",), f"no branch, tag or commit `{base or 'HEAD'}` in {shown}; name one it has")]
    )


def _started(git: Git, source: str, base: str | None) -> str:
    commit = _start(git)
    if commit is None:
        raise _no_base(source, base)
    return commit


def _start(git: Git) -> str | None:
    return _commit(git, START)


def _resolve(git: Git, base: str) -> str | None:
    """What *base* names in a repository of ours; one made by an earlier release has no START."""
    names = [f"refs/heads/{base}", f"refs/tags/{base}", f"refs/egg/base/{base}"]
    for name in [*names, base] if remotes.ABBREVIATED.fullmatch(base) else names:
        if commit := _commit(git, name):
            return commit
    return None


def _commit(git: Git, name: str) -> str | None:
    try:
        known, output = git.answers("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except GitFailed:
        return None
    found = output.decode().strip()
    return found if known and COMMIT.fullmatch(found) else None
