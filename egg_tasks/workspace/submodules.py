"""Submodules: held once for a pipeline, beside its repository, and laid out in clones and checkouts.

Only the submodules of the base commit, which is the person's, are fetched, and only from where that commit
says: never from a URL that an agent wrote. One that cannot be had is held empty, with the reason.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import readable
from egg_tasks.workspace.links import declared, links
from egg_tasks.workspace.origins import Origin
from egg_tasks.workspace.reach import Reach, ReachingGit
from egg_tasks.workspace.sources import NO_NETWORK, Source
from models.errors import Unavailable
from models.git_names import SHA256_DIGITS
from models.masking import masked
from models.schemas.source import is_remote, local_path, split

FETCH_LIMIT = timedelta(minutes=10)
ASK_LIMIT = timedelta(seconds=20)
NO_URL = "its URL is none that can be fetched from"
LONGEST_NAME = 255
"""Bytes a directory's name can have."""
"""Digits of a commit's id."""
DEEPEST = 5
"""So many submodules within one another are followed."""
ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
ALL_HERE = (
    "+HEAD:refs/egg/here/HEAD",
    "+refs/heads/*:refs/egg/here/*",
    "+refs/remotes/origin/*:refs/heads/*",
    "^refs/remotes/origin/HEAD",
    "+refs/tags/*:refs/tags/*",
)
# A repository on this disk may belong to another account, and its commits need not be on a branch.
TRUSTING = '[safe]\n\tdirectory = "*"\n[uploadpack]\n\tallowAnySHA1InWant = true\n'


FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
# What serves a repository on this disk must not start anything to get objects that it lacks.
SERVING = f"env GIT_ALLOW_PROTOCOL={NO_NETWORK} GIT_NO_LAZY_FETCH=1 git upload-pack"

Furnish = Callable[[Git, Path, str], tuple[str, ...]]
"""Lays a commit of a held submodule out in a directory; the paths in it of submodules that are not held."""


def copy_of(repository: Path, name: str) -> Path:
    """Where the submodule of that name is held for a repository; its own are held below it."""
    called = quote(os.fsencode(name), safe="").replace(".", "%2E")
    # Anybody may have written the name: no directory is called by one that is longer than it can be.
    is_long = len(called) > LONGEST_NAME
    return repository / "modules" / (hashlib.sha256(os.fsencode(name)).hexdigest() if is_long else called)


def hold(git: Git, commit: str, *, origin: Origin, reach: Reach, depth: int = 1) -> None:
    """Hold the submodules of *commit*, and theirs; one that cannot be had is noted and keeps nobody back."""
    linked = links(git, commit)
    for module in declared(git, commit) if linked else ():
        at, copy = linked.get(module.path), copy_of(git.directory, module.name)
        if at is None or copy.exists():
            continue
        place = origin.of_submodule(module)
        why = _copied(copy, at, place, reach)
        held = Git(copy)
        held.run("config", "--", "remote.origin.url", masked(next(iter(place.urls), module.url)))
        if why:
            held.run("config", "--", "egg.missing", lacking(module.path, why))
        elif depth < DEEPEST:
            hold(held, at, origin=place, reach=reach, depth=depth + 1)


def missing(repository: Path) -> Iterator[str]:
    """A sentence for each submodule that is held empty, those within others among them."""
    for copy in sorted((repository / "modules").glob("*")):
        known, sentence = Git(copy).answers("config", "--get", "egg.missing")
        if known:
            yield sentence.decode("utf-8", "surrogateescape").strip()
        yield from missing(copy)


def out_of_reach(source: Source, commit: str, *, reach: Reach, directory: Path) -> Iterator[str]:
    """A sentence for each submodule of a person's repository that could not be held now.

    *directory* is ours, and empty. What lies checked out on this disk is not asked after elsewhere.
    """
    linked, origin = links(source.git, commit), Origin.here(source)
    for module in declared(source.git, commit) if linked else ():
        at = linked.get(module.path)
        place = origin.of_submodule(module)
        if at is None or any(has(kept, at) for kept in place.directories):
            continue
        whys = [_unreached(url, reach, directory) for url in place.urls]
        if all(whys):
            yield lacking(module.path, "; ".join(filter(None, whys)) or NO_URL)


def lacking(path: str, why: str) -> str:
    """What follows when a submodule cannot be had."""
    return f"the submodule {path} cannot be fetched ({why}): agents and checks find its folder empty"


def _unreached(url: str, reach: Reach, directory: Path) -> str | None:
    """Why nothing is to be had from a URL, or None."""
    plain, credential = split(url)
    git: Git = ReachingGit(directory, reach=reach.with_credential(credential))
    if not is_remote(url):
        plain, git = local_path(url), Git(directory)
    try:
        git.run("ls-remote", "--quiet", "--", plain, "HEAD", timeout=ASK_LIMIT)
    except GitFailed as error:
        return masked(str(error)).splitlines()[0].removeprefix("fatal: ")
    except Unavailable as error:
        return error.message
    return None


def has(copy: Path, commit: str) -> bool:
    """Whether a held submodule has a commit."""
    try:
        return copy.is_dir() and Git(copy).answers("cat-file", "-e", f"{commit}^{{commit}}")[0]
    except GitFailed:
        return False


def is_published(copy: Path, commit: str) -> bool:
    """Whether others have a commit of a held submodule: what was salvaged there nobody else has."""
    if not has(copy, commit):
        return False
    salvaged = "--exclude=refs/heads/egg/*/salvage/*"
    return not Git(copy).run("rev-list", "--max-count=1", commit, "--not", salvaged, "--all")


def published(copies: Iterable[Path], commits: Collection[str]) -> frozenset[str]:
    """Those of *commits* that others have: two questions to each held submodule, however many they are."""
    left = set(commits)
    for copy in copies:
        asked = "".join(f"{commit}^{{commit}}\n" for commit in left).encode()
        if not asked:
            break
        answers = Git(copy).records("cat-file", "--batch-check", end=b"\n", stdin=asked)
        here = {answer.split(b" ")[0].decode() for answer in answers if answer.split(b" ")[1] == b"commit"}
        revisions = "".join(f"{commit}\n" for commit in here).encode()
        unpublished = ("--not", "--exclude=refs/heads/egg/*/salvage/*", "--all")
        if here:
            left -= here - set(Git(copy).lines("rev-list", "--stdin", *unpublished, stdin=revisions))
    return frozenset(commits) - left


def fetch_again(copy: Path, commit: str, *, reach: Reach, limit: timedelta) -> bool:
    """Fetch a held submodule from where it came from, for a commit it lacks; whether it has it now."""
    try:
        url = Git(copy).line("config", "--get", "remote.origin.url")
    except GitFailed:
        return False
    _fetched(copy, url, ALL, reach, limit)
    if not has(copy, commit):
        # git does not ask for a commit that it has, be it salvaged: that would prove nothing.
        _fetched(copy, url, (f"+{commit}:refs/egg/linked/{commit}",), reach, limit)
    return is_published(copy, commit)


def url_of(copy: Git) -> str:
    """Where a held submodule comes from."""
    return copy.line("config", "--get", "remote.origin.url")


def fill(git: Git, tree: Path, *, head: str, furnish: Furnish) -> tuple[str, ...]:
    """Lay out the submodules of *head* in a clone of ours; the paths of those that are not held."""
    if not (git.directory / "modules").is_dir():
        return ()
    missing: list[str] = []
    modules = {module.path: module for module in declared(git, head)}
    for path, commit in links(git, head).items():
        module = modules.get(path)
        copy = copy_of(git.directory, module.name) if module else None
        if module and copy and copy.is_dir():
            # As `git submodule init` would, which cannot know where ours came from.
            Git(tree / ".git").run("config", "--", f"submodule.{module.name}.url", url_of(Git(copy)))
            Git(tree / ".git").run("config", f"submodule.{module.name}.active", "true")
        if copy is None or not has(copy, commit):
            missing.append(readable(os.fsencode(path)))
            continue
        within = readable(os.fsencode(path))
        missing += [f"{within}/{below}" for below in furnish(Git(copy), tree / path, commit)]
    return tuple(missing)


def _copied(copy: Path, commit: str, place: Origin, reach: Reach) -> str | None:
    """Copy a submodule; why it could not be had, or None."""
    copy.mkdir(parents=True)
    kind = ("--object-format=sha256",) if len(commit) == SHA256_DIGITS else ()
    Git(copy).run("init", "--quiet", "--bare", "--template=", *kind)
    for key, value in (("gc.auto", "0"), ("gc.pruneExpire", "never"), ("maintenance.auto", "false")):
        Git(copy).run("config", key, value)
    whys = []
    for source, refspecs in _sources(place, commit):
        why = _fetched(copy, source, refspecs, reach, FETCH_LIMIT)
        if has(copy, commit):
            Git(copy).run("update-ref", f"refs/egg/linked/{commit}", commit)
            return None
        whys.append(why or f"{masked(source)} does not have {commit[:10]}")
    return "; ".join(dict.fromkeys(whys)) or NO_URL


def _sources(place: Origin, commit: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What to fetch from where, what lies on this disk first."""
    by_commit = (f"+{commit}:refs/egg/linked/{commit}",)
    for directory in place.directories:
        yield str(directory), ALL_HERE
        yield str(directory), by_commit
    for url in place.urls:
        yield url, ALL
        yield url, by_commit


def _fetched(
    copy: Path, source: str, refspecs: tuple[str, ...], reach: Reach, limit: timedelta
) -> str | None:
    """Fetch into a held submodule; why that failed, or None."""
    trusting = copy / "egg-trust.conf"
    plain, credential = split(source)
    git: Git = ReachingGit(copy, reach=reach.with_credential(credential))
    serving: tuple[str, ...] = ()
    if not is_remote(source):
        plain, serving = local_path(source), ("--upload-pack", SERVING)
        trusting.write_text(TRUSTING)
        git = Git(copy, configuration=trusting)
    try:
        git.run(*FETCH, *serving, "--", plain, *refspecs, timeout=limit)
    except GitFailed as error:
        return masked(str(error)).splitlines()[0].removeprefix("fatal: ")
    except Unavailable as error:
        return error.message
    finally:
        trusting.unlink(missing_ok=True)
    return None
