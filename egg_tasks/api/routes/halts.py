"""Stopping all: nothing starts anywhere until a person lifts it."""

import structlog
from fastapi import APIRouter
from pydantic import BaseModel

from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import halts
from egg_tasks.services.reads import pipeline_status
from models.queries import halts as rows
from models.schemas.http import HaltIn
from models.schemas.report import HaltRead
from models.tables import Halt

log = structlog.get_logger()
router = APIRouter(tags=["halt"], dependencies=[OPERATOR])


class HaltAnswer(BaseModel):
    """The halt that stands, or stood until now; null when there is none."""

    halt: HaltRead | None


@router.get("/halt")
def get() -> Envelope[HaltAnswer]:
    """Say whether all is stopped."""
    with unit_of_work() as session:
        return _answer(rows.find_standing_halt(session), "nothing is stopped")


@router.post("/halt")
def order(body: HaltIn) -> Envelope[HaltAnswer]:
    """Let no agent and no check start anywhere; ordering it twice is no mistake."""
    with unit_of_work() as session:
        halt = halts.order(session, why=body.why, stops_running=body.running, now=utcnow())
        answer = _answer(halt, "")
    log.warning("halt.ordered", why=body.why, stops_running=body.running)
    return answer


@router.post("/halt/lift")
def lift() -> Envelope[HaltAnswer]:
    """Let agents start again, those that wait at once; lifting it twice is no mistake."""
    return _lifted()


@router.delete("/halt")
def delete() -> Envelope[HaltAnswer]:
    """Do the same as lift."""
    return _lifted()


def _lifted() -> Envelope[HaltAnswer]:
    with unit_of_work() as session:
        halt = halts.lift(session, now=utcnow())
        answer = _answer(halt, "nothing was stopped")
    if halt is not None:
        log.warning("halt.lifted", stood=str(halt.lifted_at and halt.lifted_at - halt.ordered_at))
    return answer


def _answer(halt: Halt | None, otherwise: str) -> Envelope[HaltAnswer]:
    if halt is None:
        return Envelope(message=otherwise, data=HaltAnswer(halt=None))
    message = "lifted: agents start again" if halt.lifted_at else halts.sentence(halt)
    return Envelope(message=message, data=HaltAnswer(halt=pipeline_status.halt_read(halt)))
