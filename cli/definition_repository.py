"""Looks at the repository a definition names, on the machine where the definition is."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from egg_tasks.workspace import remotes, repositories, sources, submodules
from egg_tasks.workspace.reach import Reach, of_this_person
from egg_tasks.workspace.sources import Source
from models.errors import Unavailable, Unprocessable
from models.masking import masked
from models.schemas.fault import Fault, Faulty
from models.schemas.source import is_remote, local_path, refuse_reckoned, split


@dataclass(frozen=True)
class Start:
    """Where a pipeline starts, as far as it is known before its repository is copied."""

    source: Source
    commit: str


def resolved(repo: str, *, directory: Path) -> str:
    """Make a path absolute, taken from *directory*; a URL (or `host:path`) stays as it is."""
    if is_remote(repo):
        return repo
    given = local_path(repo)
    path = Path(given).expanduser() if given.startswith("~/") else Path(given)
    return str((directory / path).resolve())


def persons_reach() -> Reach:
    """What the git of the person who types this uses; it may ask them on their terminal."""
    return of_this_person(is_attended=os.isatty(0) and os.isatty(2))


def start(path: str, *, base: str | None) -> Start:
    """Find the commit that *base* names in the repository at an absolute path.

    `Faulty` when there is none, and when it is not all there and the rest cannot be had.
    """
    source = sources.visit(Path(path))
    commit = source.commit_of(base)
    if source.promisors and (away := _away(source)) and source.lacks_objects(commit):
        raise repositories.lacking(source, away)
    return Start(source, commit)


class Far(Enum):
    """Who fetches a repository at a URL, and whether it is asked for its names before."""

    ASKED = "this person, who is told now whether that will go"
    FETCHED = "this person, at once"
    ELSEWHERE = "a server that reaches it by means of its own"


def far_faults(url: str, *, base: str | None, far: Far) -> Iterator[Fault]:
    """Find what keeps the repository at a URL from being copied."""
    if far is Far.ELSEWHERE and split(url)[1] is not None:
        yield Fault(
            ("repo",),
            "a name or password in a URL is not sent to a server, which would store it: leave it out, and "
            "name it in [fetch] of the settings.toml there",
        )
    try:
        remotes.checked_url(url)
        refuse_reckoned(base)
        if far is Far.ASKED:
            with tempfile.TemporaryDirectory(prefix="egg-look-") as directory:
                remotes.look(url, persons_reach(), directory=Path(directory)).ref(base)
    except Faulty as error:
        yield from error.faults
    except (Unprocessable, Unavailable) as error:
        yield Fault(("repo",), error.message)


def submodule_notes(found: Start) -> Iterator[str]:
    """Say which submodules of a person's repository their git cannot fetch now."""
    with tempfile.TemporaryDirectory(prefix="egg-look-") as directory:
        yield from submodules.out_of_reach(
            found.source, found.commit, reach=persons_reach(), directory=Path(directory)
        )


def _away(source: Source) -> str | None:
    """Why what a partial clone lacks cannot be had from where it was left; None if it can."""
    for name in source.promisors:
        url = source.url(name)
        try:
            if not is_remote(url):
                sources.visit(Path(source.path / local_path(url)))
                continue
            with tempfile.TemporaryDirectory(prefix="egg-look-") as directory:
                remotes.look(url, persons_reach(), directory=Path(directory))
        except (Unprocessable, Unavailable) as error:
            return masked(error.message).removeprefix("repo: ")
    return None
