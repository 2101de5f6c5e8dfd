"""Phase runs of a pipeline."""

from fastapi import APIRouter
from pydantic import BaseModel

from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.reads import history
from models.foreign import counted
from models.schemas.history import PhaseRead
from models.schemas.text import PipelineId

router = APIRouter(tags=["phases"], dependencies=[OPERATOR])


class PhasesAnswer(BaseModel):
    """Phase runs, oldest first."""

    phases: tuple[PhaseRead, ...]


@router.get("/pipelines/{pipeline_id}/phases")
def list_(pipeline_id: PipelineId) -> Envelope[PhasesAnswer]:
    """List the phase runs with their roles, versions, objections and checks."""
    with unit_of_work() as session:
        found = history.list_phases(session, pipeline_id=pipeline_id, now=utcnow())
    return Envelope(message=counted(len(found), "phase run"), data=PhasesAnswer(phases=found))
