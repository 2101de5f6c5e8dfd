"""What the workspace reports of branches, versions and merges. Commits and trees are full hexadecimal ids."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Clone(BaseModel):
    """A role's working clone, ready for its agent."""

    model_config = ConfigDict(frozen=True)

    path: Path
    branch: str
    head: str
    conflicts: tuple[str, ...] = ()
    """Paths that kept the work branch from being merged into it; empty when it is up to date."""
    missing: tuple[str, ...] = ()
    """Paths of submodules whose files are not in it, since they could not be had."""


class TakenHead(BaseModel):
    """The head of a role's clone, fetched into the pipeline's repository."""

    model_config = ConfigDict(frozen=True)

    commit: str
    tree: str


class Saved(BaseModel):
    """What became of a clone's work when its run was over."""

    model_config = ConfigDict(frozen=True)

    commit: str
    """Holds all of it but what follows; on the role's branch unless that has moved away."""
    set_aside: str | None = None
    """The branch that holds what was not committed and READY had been refused for."""
    kept: tuple[str, ...] = ()
    """Paths that cannot be saved as they should be: they stay in the clone. Empty if the work is complete."""
    snapshot_at: datetime | None = None
    """When the snapshot was taken that this is of, or on top of, since the clone was gone or unreadable."""


class CloneSnapshot(BaseModel):
    """What a clone held while its agent was running."""

    model_config = ConfigDict(frozen=True)

    commit: str
    head: str
    """The clone's head then, on which the commit stands."""
    taken_at: datetime
    is_clean: bool
    """Whether everything was committed."""


class Strays(BaseModel):
    """What became of commits that a clone holds elsewhere than in its head."""

    model_config = ConfigDict(frozen=True)

    saved: tuple[str, ...] = ()
    """A sentence for each: where it was, and where it is kept."""
    left: tuple[str, ...] = ()
    """What stays in the clone, since it cannot be brought away. Empty if the clone holds nothing more."""


class Branch(BaseModel):
    """A branch of a pipeline's repository."""

    model_config = ConfigDict(frozen=True)

    name: str
    commit: str
    subject: str
    """The first line of its commit's message."""
    is_elsewhere: bool
    """Whether the repository the pipeline came from holds the commit, on a branch or a tag of its own."""


class Branches(BaseModel):
    """The branches a pipeline made."""

    model_config = ConfigDict(frozen=True)

    repository: str = ""
    """The pipeline's own repository."""
    branches: tuple[Branch, ...] = ()
    why: str = ""
    """Why the repository the pipeline came from could not be asked, so that it counts as holding nothing."""
    refused: str = ""
    """Why the pipeline cannot be deleted now, and what is to be done first; empty if it can."""


class Merged(BaseModel):
    """A merge commit built without moving a branch."""

    model_config = ConfigDict(frozen=True)

    commit: str


class Conflicted(BaseModel):
    """Paths two sides changed in ways that do not go together."""

    model_config = ConfigDict(frozen=True)

    paths: tuple[str, ...]
