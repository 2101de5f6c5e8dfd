"""Who asks: the operator, or the agent run its token names. Nobody is who a body says they are."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from egg_tasks.database import unit_of_work
from egg_tasks.services import credentials
from egg_tasks.services.credentials import UNKNOWN
from models.errors import Forbidden, NotFound, Unauthenticated
from models.schemas.credential import Agent, Operator
from models.schemas.text import PipelineId

bearer = HTTPBearer(auto_error=False, description="The operator's token, or an agent run's own")


async def bearing(
    request: Request, _given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Operator | Agent:
    """Whom the gate has let in; an agent's run may be over."""
    who: Operator | Agent = request.state.who
    return who


def caller(who: Annotated[Operator | Agent, Depends(bearing)]) -> Operator | Agent:
    """Say who asks; `Conflict` when its run is over."""
    if isinstance(who, Agent):
        try:
            with unit_of_work() as session:
                credentials.check(session, run_id=who.run_id)
        except NotFound as error:
            raise Unauthenticated(UNKNOWN) from error
    return who


async def operator(who: Annotated[Operator | Agent, Depends(caller)]) -> Operator:
    """Let the operator through alone."""
    if isinstance(who, Agent):
        raise Forbidden("this is the operator's to do; an agent asks with `egg message send --to human`")
    return who


async def member(
    who: Annotated[Operator | Agent, Depends(caller)], pipeline_id: PipelineId
) -> Operator | Agent:
    """Let the operator through, and agents of the pipeline."""
    return _of(who, pipeline_id)


async def talker(
    who: Annotated[Operator | Agent, Depends(bearing)], pipeline_id: PipelineId
) -> Operator | Agent:
    """The same for routes that look by themselves whether the agent's run is over, as the bus does."""
    return _of(who, pipeline_id)


async def agent(who: Annotated[Operator | Agent, Depends(member)]) -> Agent:
    """Let an agent of the pipeline through alone."""
    if isinstance(who, Operator):
        raise Forbidden("this is an agent's to say, with the EGG_SESSION_TOKEN of its run")
    return who


def _of(who: Operator | Agent, pipeline_id: str) -> Operator | Agent:
    if isinstance(who, Agent):
        who.must_be(pipeline_id=pipeline_id)
    return who


AnyCaller = Annotated[Operator | Agent, Depends(caller)]
Member = Annotated[Operator | Agent, Depends(member)]
Talker = Annotated[Operator | Agent, Depends(talker)]
Speaker = Annotated[Agent, Depends(agent)]
OPERATOR = Depends(operator)
