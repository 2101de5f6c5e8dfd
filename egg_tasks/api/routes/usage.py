"""What agents' requests to models have used."""

from fastapi import APIRouter
from pydantic import BaseModel

from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.database import unit_of_work
from egg_tasks.services.reads import model_usage
from models.foreign import counted
from models.schemas.text import PipelineId
from models.schemas.usage import HoldRead, UsageRead

router = APIRouter(tags=["usage"], dependencies=[OPERATOR])


class UsageAnswer(BaseModel):
    """What was used, by role and model, and the keys of the whole installation that are held."""

    usage: tuple[UsageRead, ...]
    holds: tuple[HoldRead, ...]


@router.get("/pipelines/{pipeline_id}/usage")
def list_(pipeline_id: PipelineId) -> Envelope[UsageAnswer]:
    """Say what the agents of a pipeline have used of models, the most requests first."""
    with unit_of_work() as session:
        found = model_usage.list_usage(session, pipeline_id=pipeline_id)
        holds = model_usage.list_holds(session)
    number = counted(sum(one.requests for one in found), "request")
    return Envelope(message=number, data=UsageAnswer(usage=found, holds=holds))
