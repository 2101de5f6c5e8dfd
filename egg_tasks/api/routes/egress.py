"""Hosts that the agents of a pipeline asked the gateway for."""

from fastapi import APIRouter
from pydantic import BaseModel

from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.database import unit_of_work
from egg_tasks.services.reads import egress
from models.foreign import counted
from models.schemas.egress import EgressRead
from models.schemas.text import PipelineId

router = APIRouter(tags=["egress"], dependencies=[OPERATOR])


class EgressAnswer(BaseModel):
    """Hosts with what became of the wishes, the most frequent first."""

    egress: tuple[EgressRead, ...]


@router.get("/pipelines/{pipeline_id}/egress")
def list_(pipeline_id: PipelineId) -> Envelope[EgressAnswer]:
    """List what was asked for, with how often, and what became of it."""
    with unit_of_work() as session:
        found = egress.list_egress(session, pipeline_id=pipeline_id)
    return Envelope(message=counted(len(found), "host"), data=EgressAnswer(egress=found))
