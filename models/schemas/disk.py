"""What takes the space of a home, what of it may go, and what only goes when a person names it."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import BaseModel


class Item(BaseModel):
    """Something on the disk that nobody needs any more."""

    kind: str
    """clone, home, orphan, cache or removed."""
    path: str
    size: int
    """In bytes, as the disk counts."""
    why: str


class KeptRead(BaseModel):
    """What a run left that could not be saved; it goes only by its name."""

    run: UUID
    pipeline: str | None
    """None where no row knows the run."""
    label: str
    path: str
    size: int
    holds: tuple[str, ...]


class RepositoryRead(BaseModel):
    """A pipeline's repository; it goes with its pipeline, or by its name if that is gone."""

    name: str
    path: str
    size: int
    has_pipeline: bool


class DiskRead(BaseModel):
    """The disk of a home."""

    home: str
    space: Mapping[str, int]
    """Bytes by kind."""
    items: tuple[Item, ...]
    """What `egg gc --yes` removes."""
    frees: int
    """Bytes."""
    kept: tuple[KeptRead, ...]
    repositories: tuple[RepositoryRead, ...]
