"""Agent runs of a pipeline, and what they wrote."""

import codecs
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from egg_tasks.adapters import runner
from egg_tasks.api.auth import OPERATOR
from egg_tasks.api.envelope import Envelope
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.run_places import set_up_of
from egg_tasks.services.people import operator_actions
from egg_tasks.services.reads import history
from models.foreign import counted
from models.queries import agent_runs as rows
from models.schemas.history import AgentRead
from models.schemas.text import PipelineId

router = APIRouter(tags=["agents"], dependencies=[OPERATOR])

MAX_LOG = 256 * 1024


class AgentsAnswer(BaseModel):
    """Agent runs, oldest first."""

    agents: tuple[AgentRead, ...]


class AgentAnswer(BaseModel):
    """One agent run."""

    agent: AgentRead


class LogAnswer(BaseModel):
    """A piece of an agent run's output."""

    text: str
    next_offset: int
    is_live: bool
    """Whether more may come."""


@router.get("/pipelines/{pipeline_id}/agents")
def list_(pipeline_id: PipelineId) -> Envelope[AgentsAnswer]:
    """List the agent runs."""
    with unit_of_work() as session:
        found = history.list_agents(session, pipeline_id=pipeline_id)
    return Envelope(message=counted(len(found), "agent run"), data=AgentsAnswer(agents=found))


@router.get("/pipelines/{pipeline_id}/agents/{run}")
def get(pipeline_id: PipelineId, run: UUID) -> Envelope[AgentAnswer]:
    """Show an agent run."""
    with unit_of_work() as session:
        found = history.agent(session, pipeline_id=pipeline_id, run_id=run)
    return Envelope(message=f"agent run {run} is {found.status}", data=AgentAnswer(agent=found))


@router.get("/pipelines/{pipeline_id}/agents/{run}/logs")
def logs(
    pipeline_id: PipelineId,
    run: UUID,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
    setup: Annotated[bool, Query()] = False,
) -> Envelope[LogAnswer]:
    """Show what an agent run wrote, or its set-up, from a byte on."""
    with unit_of_work() as session:
        # Asked before the log is read: what a run writes last must not be missed.
        is_live = rows.get_agent_run_of(session, pipeline_id=pipeline_id, run_id=run).closed_at is None
        where = runner(rows.get_isolation(session, run_id=run))
    found = where.read_log(set_up_of(run) if setup else run, offset=offset, limit=MAX_LOG)
    text, size = _decoded(found, is_live=is_live)
    answer = LogAnswer(text=text, next_offset=offset + size, is_live=is_live)
    return Envelope(message=counted(size, "byte"), data=answer)


@router.post("/pipelines/{pipeline_id}/agents/{run}/stop")
def stop(pipeline_id: PipelineId, run: UUID) -> Envelope[AgentAnswer]:
    """Stop a live agent run: its work is kept, and its role's `on_failure` says what follows."""
    return _ordered(pipeline_id, run, operator_actions.stop, "is asked to end")


@router.post("/pipelines/{pipeline_id}/agents/{run}/retry")
def retry(pipeline_id: PipelineId, run: UUID) -> Envelope[AgentAnswer]:
    """Run the role of a run that is over once more; a question about the role is answered by it."""
    return _ordered(pipeline_id, run, operator_actions.retry, "runs again")


def _ordered(pipeline_id: str, run: UUID, order: Callable[..., None], what: str) -> Envelope[AgentAnswer]:
    with unit_of_work() as session:
        order(session, pipeline_id=pipeline_id, run_id=run, now=utcnow())
        found = history.agent(session, pipeline_id=pipeline_id, run_id=run)
    return Envelope(message=f"{found.role or 'the check'} {what}", data=AgentAnswer(agent=found))


def _decoded(piece: bytes, *, is_live: bool) -> tuple[str, int]:
    """The text of a piece and how many bytes of it that is: half a character is left to the next piece."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(piece)
    left = len(decoder.getstate()[0])
    if left and not text and not is_live:
        return decoder.decode(b"", final=True), len(piece)
    return text, len(piece) - left
