"""Who asks: the operator, or the agent run its token names. Nobody is who a body says they are."""

import hmac
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from egg_tasks.api.rates import Rates
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services import credentials
from models.errors import Forbidden, Unauthenticated
from models.schemas.text import PipelineId

bearer = HTTPBearer(auto_error=False, description="The operator's token, or an agent run's own")


@dataclass(frozen=True)
class Operator:
    """A person, or a program that acts for one."""


@dataclass(frozen=True)
class Agent:
    """A live agent run."""

    run_id: UUID
    pipeline_id: str
    phase_run_id: UUID
    role: str

    def must_be(self, *, role: str | None = None, pipeline_id: str | None = None) -> None:
        """Refuse a request that names another role or pipeline than the credential."""
        if role not in {None, self.role}:
            raise Forbidden(f"this credential is {self.role}'s; it cannot speak for {role}")
        if pipeline_id not in {None, self.pipeline_id}:
            raise Forbidden(f"this credential belongs to pipeline {self.pipeline_id}, not to {pipeline_id}")


Known = dict[bytes, Agent]
"""Whose token is whose: that never changes."""
MOST_KNOWN = 10_000
"""With so many they are all forgotten, to be looked up anew."""


def caller(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Operator | Agent:
    """Say who asks; `Unauthenticated` without a known credential, `Conflict` when its run is over.

    Who is not the operator and asks too often is told so before the database is asked: `TooMany`.
    """
    if given is None or not given.credentials:
        raise Unauthenticated("this needs a credential: Authorization: Bearer TOKEN")
    token = given.credentials.encode("utf-8", "surrogateescape")
    operators = (settings().operator_token or "").encode("utf-8", "surrogateescape")
    if operators and hmac.compare_digest(token, operators):
        return Operator()
    rates: Rates = request.app.state.rates
    rates.spend(token, rate=settings().rate_limit)
    with unit_of_work() as session:
        run = credentials.identify(session, token=given.credentials, now=utcnow())
    assert run.role is not None, "a check has no token"  # noqa: S101
    who = Agent(run.id, run.pipeline_id, run.phase_run_id, run.role)
    known: Known = request.app.state.known
    if len(known) >= MOST_KNOWN:
        known.clear()
    known[token] = who
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
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    pipeline_id: PipelineId,
) -> Operator | Agent:
    """The same for routes that look by themselves whether the agent's run is over, as the bus does."""
    known: Known = request.app.state.known
    token = given.credentials.encode("utf-8", "surrogateescape") if given else b""
    who = known.get(token)
    if who is None:
        return _of(await run_in_threadpool(caller, request, given), pipeline_id)
    rates: Rates = request.app.state.rates
    rates.spend(token, rate=settings().rate_limit)
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
