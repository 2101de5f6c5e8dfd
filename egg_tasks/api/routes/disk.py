"""The disk: what takes its space, what may go, and what goes only when a person names it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel

from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.use_cases import collecting
from models.schemas.disk import DiskRead, Item
from models.schemas.text import PipelineId
from models.sizes import in_words

router = APIRouter(tags=["disk"], dependencies=[OPERATOR])


class CollectedAnswer(BaseModel):
    """What was removed."""

    items: tuple[Item, ...]
    freed: int
    """Bytes."""


class RemovedAnswer(BaseModel):
    """The name of what was removed."""

    removed: str


@router.get("/disk")
def get() -> Envelope[DiskRead]:
    """Say what takes the space of EGG_HOME, and what of it may go."""
    found = collecting.look()
    return Envelope(message=f"{in_words(found.frees)} may go", data=found)


@router.post("/disk/collect")
def collect() -> Envelope[CollectedAnswer]:
    """Remove what may go; nothing that is not safe in a branch is among it, and no branch."""
    items = collecting.collect()
    freed = sum(item.size for item in items)
    return Envelope(message=f"{in_words(freed)} removed", data=CollectedAnswer(items=items, freed=freed))


@router.post("/disk/kept/{run}/remove")
def remove_kept(run: Annotated[UUID, Path()]) -> Envelope[RemovedAnswer]:
    """Remove what is kept of a run that could not be saved."""
    collecting.remove_kept(run)
    return Envelope(message=f"what was kept of {run} is removed", data=RemovedAnswer(removed=str(run)))


@router.post("/disk/repositories/{name}/remove")
def remove_repository(name: PipelineId) -> Envelope[RemovedAnswer]:
    """Remove a repository whose pipeline is gone."""
    collecting.remove_repository(name)
    return Envelope(message=f"the repository {name} is removed", data=RemovedAnswer(removed=name))
