"""All pipelines at once: how the installation is, what runs, what a person is asked."""

from typing import Annotated

from fastapi import APIRouter, Query

from egg_tasks import disk
from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services.reads import overviews
from models.schemas.overview import InboxPage, OverviewRead, RunningPage, ServerDiskRead
from models.schemas.text import PipelineId
from models.states import DecisionStatus

router = APIRouter(tags=["overview"], dependencies=[OPERATOR])

Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/overview")
def get() -> Envelope[OverviewRead]:
    """Say how the whole installation is."""
    home = settings().home
    room = ServerDiskRead(free_bytes=disk.free_bytes(home), shortage=disk.shortage(home))
    with unit_of_work() as session:
        found = overviews.overview(session, disk=room, now=utcnow())
    return Envelope(message=f"{found.questions} questions wait for a person", data=found)


@router.get("/overview/pipelines")
def running(after: PipelineId | None = None, limit: Limit = 100) -> Envelope[RunningPage]:
    """List the pipelines that are not over, what needs a person first; `after` is the last page's last id."""
    with unit_of_work() as session:
        page = overviews.running(session, after=after, limit=limit, now=utcnow())
    return Envelope(message=f"{page.total} pipelines are not over", data=page)


@router.get("/decisions")
def inbox(
    status: DecisionStatus | None = None,
    after: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Limit = 100,
) -> Envelope[InboxPage]:
    """List the questions of all pipelines: with status `pending` the most urgent first, else newest first."""
    with unit_of_work() as session:
        page = overviews.inbox(session, status=status, after=after, limit=limit)
    return Envelope(message=f"{page.pending} questions wait for a person", data=page)
