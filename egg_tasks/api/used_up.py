"""What is answered to a run that has used up its share: the refusal, and that it is put on record."""

from typing import cast

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from egg_tasks.api.envelope import refused
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.bus import shares
from models.errors import UsedUp


async def answer(_request: Request, error: Exception) -> Response:
    """Refuse, after the unit of work in which it was found has been undone."""
    used_up = cast("UsedUp", error)
    await run_in_threadpool(_note, used_up)
    return refused(used_up)


def _note(error: UsedUp) -> None:
    with unit_of_work() as session:
        shares.note(session, error=error, now=utcnow())
