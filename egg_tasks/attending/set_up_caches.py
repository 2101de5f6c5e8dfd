"""Which caches a set-up begins from, and which it makes: so that no agent decides what another one is given.

A set-up runs what the commit in its clone says, with the HOME of its role; agents write both. What it makes
is therefore for later runs of its role alone, unless no agent has had a hand in it: then its clone holds the
very files of the base, and its role has not run before. Such a cache is everybody's who has the same base,
and the same key files. Of caches of its own a role has one at a time. A check, whose commit is of all
roles, makes none but of the base.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from egg_tasks.ports import KIN, Workspace
from models.schemas.set_up import CloneSetUp


@dataclass(frozen=True)
class Ground:
    """What a clone is made ready from."""

    pipeline_id: str
    source: str
    """The repository that its pipeline came from."""
    directory: Path
    """The clone or checkout, as we find it."""
    commit: str
    """What it was made of."""
    base: str | None
    """The commit that its pipeline began from."""
    isolation: str
    """Where set-ups run, in words that differ where what they make does."""
    literals: Mapping[str, str]
    """What the definition has set-ups find in their environment."""
    whose: str
    """What is said of no other role of any pipeline; empty for a check."""
    is_untouched: bool
    """Whether no agent has had its HOME yet."""


@dataclass(frozen=True)
class CacheNames:
    """Caches, by what they are known by."""

    begins_from: tuple[str, ...] = ()
    """The first of them that is there is brought."""
    kept_as: str | None = None
    """Where what the set-up makes is kept; None where nobody is to begin from it."""


def names(workspace: Workspace, ground: Ground, preparation: CloneSetUp) -> CacheNames:
    """The caches of a set-up; they follow from what is written down, whoever asks and however often."""
    cache = preparation.cache
    if cache is None:
        return CacheNames()
    # Each list is one word, so that none can be taken for a part of its neighbour.
    lists = (
        preparation.setup,
        sorted(preparation.network),
        sorted(preparation.include),
        sorted(cache.paths),
        sorted(ground.literals.items()),
    )
    said = (ground.source, ground.isolation, *map(json.dumps, lists))

    def name(commit: str, *whose: str) -> str:
        return workspace.cache_key((*said, *whose), ground.pipeline_id, commit=commit, files=cache.key)

    own = None
    if ground.whose:
        kin = hashlib.sha256(json.dumps([*said, ground.whose]).encode()).hexdigest()[:32]
        own = f"{kin}{KIN}{name(ground.commit, 'role', ground.whose)}"
    commits = [ground.commit, *([ground.base] if ground.base else [])]
    trees = workspace.trees(ground.pipeline_id, commits=commits)
    tree = trees.get(ground.base or "")
    if ground.base is None or tree is None:
        return CacheNames((own,) if own else (), own)
    of_base = name(ground.base, "base", tree)
    # Where a key file is another by now, what the base's set-up made is of no use.
    is_as_base = of_base == name(ground.commit, "base", tree)
    is_nobodys = trees[ground.commit] == tree and ground.is_untouched
    found = (own, of_base if is_as_base else None)
    return CacheNames(tuple(each for each in found if each), of_base if is_nobodys else own)
