"""Typed results of roles."""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, JsonValue

from egg_tasks.api.auth import OPERATOR, Speaker
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.engine import results
from models.foreign import counted
from models.schemas.http import ResultFields
from models.schemas.report import ResultRead
from models.schemas.text import PipelineId

router = APIRouter(tags=["results"])


class ResultTaken(BaseModel):
    """A result that was taken."""

    id: int
    role: str
    fields: dict[str, JsonValue]
    """As it was understood: percentages and counts are numbers."""


class ResultsAnswer(BaseModel):
    """Results, oldest first."""

    results: tuple[ResultRead, ...]


@router.post("/pipelines/{pipeline_id}/results", status_code=201)  # noqa: FAST003 - `Speaker` reads it
def submit(fields: Annotated[ResultFields, Body()], who: Speaker) -> Envelope[ResultTaken]:
    """Take the typed result of the agent whose credential this is; `role` may only agree with it."""
    who.must_be(role=str(fields.get("role", who.role)))
    said = {name: value for name, value in fields.items() if name != "role"}
    with unit_of_work() as session:
        row = results.submit(session, run_id=who.run_id, fields=said, now=utcnow())
        taken = ResultTaken.model_validate({"id": row.id, "role": row.role, "fields": row.fields})
    return Envelope(message=f"the result of {who.role} is taken", data=taken)


@router.get("/pipelines/{pipeline_id}/results", dependencies=[OPERATOR])
def list_(pipeline_id: PipelineId, raw: bool = False) -> Envelope[ResultsAnswer]:
    """List the results; `raw` for the words they were read from too."""
    with unit_of_work() as session:
        found = results.list_results(session, pipeline_id=pipeline_id, with_raw=raw)
    return Envelope(message=counted(len(found), "result"), data=ResultsAnswer(results=found))
