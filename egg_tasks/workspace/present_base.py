"""The base of a pipeline as it is now, fetched into the repository that was made from it before."""

from datetime import timedelta

from egg_tasks.workspace import lfs, remotes, repositories, submodules
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import move_ref
from egg_tasks.workspace.links import declared, links
from egg_tasks.workspace.origins import Origin
from egg_tasks.workspace.reach import Reach, ReachingGit
from egg_tasks.workspace.sources import Source, visit
from egg_tasks.workspace.versions import scratch
from models.schemas.source import is_remote, split

SUBMODULE_LIMIT = timedelta(minutes=10)


def fetch(git: Git, *, source: str, base: str | None, reach: Reach) -> str:
    """Fetch what *base* stands for in *source* now, with its submodules and large files; that commit.

    It is kept at refs/egg/base/<commit>; no branch moves, so agents notice nothing. *source* is only read.
    `Faulty` or `Unprocessable` when source or base are not to be had, `Unavailable` when not now.
    """
    if is_remote(source):
        commit, origin = _fetch_remote(git, source, base, reach), Origin((source,))
    else:
        here = visit(repositories.checked_path(source))
        commit, origin = _fetch_local(git, here, base), Origin.here(here)
    move_ref(git, f"refs/egg/base/{commit}", commit, expected=None)
    submodules.hold(git, commit, origin=origin, reach=reach)
    _renew_submodules(git, commit, reach)
    lfs.adopt(git, commit, source=source)
    return commit


def _fetch_local(git: Git, source: Source, base: str | None) -> str:
    commit = source.commit_of(base)
    try:
        with repositories.trusting(git.directory) as trusted:
            trusted.run(
                *repositories.FETCH,
                "--update-shallow",
                "--upload-pack",
                repositories.SERVING,
                "--",
                str(source.path),
                commit,
                timeout=repositories.TRANSFER_LIMIT,
            )
    except GitFailed as error:
        raise repositories.uncopied(source, str(error)) from error
    return commit


def _fetch_remote(git: Git, source: str, base: str | None, reach: Reach) -> str:
    with scratch(git) as directory:
        remote = remotes.look(source, reach, directory=directory)
    ref = remote.ref(base)
    if ref is None:
        # A commit is what it always was.
        return git.line("rev-parse", "--verify", f"{base}^{{commit}}")
    reaching = ReachingGit(git.directory, reach=reach.with_credential(split(source)[1]))
    try:
        reaching.run(*repositories.FETCH, "--", remote.source, ref, timeout=repositories.TRANSFER_LIMIT)
        return git.line("rev-parse", "--verify", f"{remote.refs[ref]}^{{commit}}")
    except GitFailed as error:
        raise remotes.unreadable(remote.source, error) from error


def _renew_submodules(git: Git, commit: str, reach: Reach) -> None:
    """Fetch what the base links to anew into the submodules that are held."""
    linked = links(git, commit)
    for module in declared(git, commit) if linked else ():
        at, copy = linked.get(module.path), submodules.copy_of(git.directory, module.name)
        if at is not None and not submodules.has(copy, at):
            submodules.fetch_again(copy, at, reach=reach, limit=SUBMODULE_LIMIT)
