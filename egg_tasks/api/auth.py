"""Who asks: the operator, or the agent run its token names. Nobody is who a body says they are."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from egg_tasks.database import unit_of_work
from egg_tasks.services import credentials
from egg_tasks.services.credentials import UNKNOWN
from models.errors import Forbidden, NotFound, Unauthenticated
from models.schemas.credential import CallingAgent, Operator
from models.schemas.text import PipelineId

bearer = HTTPBearer(auto_error=False, description="The operator's token, or an agent run's own")


async def bearing(
    request: Request, _given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Operator | CallingAgent:
    """Whom the gate has let in; an agent's run may be over."""
    who: Operator | CallingAgent = request.state.who
    return who


def caller(who: Annotated[Operator | CallingAgent, Depends(bearing)]) -> Operator | CallingAgent:
    """Say who asks; `Conflict` when its run is over."""
    if isinstance(who, CallingAgent):
        try:
            with unit_of_work() as session:
                credentials.check(session, run_id=who.run_id)
        except NotFound as error:
            raise Unauthenticated(UNKNOWN) from error
    return who


async def operator(who: Annotated[Operator | CallingAgent, Depends(caller)]) -> Operator:
    """Let the operator through alone."""
    if isinstance(who, CallingAgent):
        raise Forbidden("this is the operator's to do; an agent asks with `egg message send --to human`")
    return who


async def member(
    who: Annotated[Operator | CallingAgent, Depends(caller)], pipeline_id: PipelineId
) -> Operator | CallingAgent:
    """Let the operator through, and agents of the pipeline."""
    return _of(who, pipeline_id)


async def talker(
    who: Annotated[Operator | CallingAgent, Depends(bearing)], pipeline_id: PipelineId
) -> Operator | CallingAgent:
    """The same for routes that look by themselves whether the agent's run is over, as the bus does."""
    return _of(who, pipeline_id)


async def agent(who: Annotated[Operator | CallingAgent, Depends(member)]) -> CallingAgent:
    """Let an agent of the pipeline through alone."""
    if isinstance(who, Operator):
        raise Forbidden("this is an agent's to say, with the EGG_SESSION_TOKEN of its run")
    return who


def _of(who: Operator | CallingAgent, pipeline_id: str) -> Operator | CallingAgent:
    if isinstance(who, CallingAgent):
        who.must_be(pipeline_id=pipeline_id)
    return who


AnyCaller = Annotated[Operator | CallingAgent, Depends(caller)]
Member = Annotated[Operator | CallingAgent, Depends(member)]
Talker = Annotated[Operator | CallingAgent, Depends(talker)]
Speaker = Annotated[CallingAgent, Depends(agent)]
OPERATOR = Depends(operator)
