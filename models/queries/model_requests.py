"""Rows of agents' requests to models, and holds of the keys they go out with."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.schemas.usage import RequestEnd, UsageRead
from models.tables import AgentRun, CredentialHold, ModelRequest
from models.tables.model_request import HoldReason, UsageKnown

LEAST_FAULTY = 400


def add_model_request(session: Session, *, request: ModelRequest) -> None:
    """Add a request that is about to be sent."""
    session.add(request)
    session.flush()


def end_model_request(session: Session, *, request_id: int, end: RequestEnd, now: datetime) -> None:
    """Write down how a request ended, in one statement; once more is the same again."""
    values = {**end.model_dump(), "usage": UsageKnown(end.usage), "ended_at": now}
    session.execute(update(ModelRequest).where(ModelRequest.id == request_id).values(values))


def end_lost_requests(session: Session, *, node: str, before: datetime, now: datetime) -> int:
    """End what a machine's gateway that is gone had begun; how many those were."""
    lost = (ModelRequest.node == node, ModelRequest.ended_at.is_(None), ModelRequest.started_at < before)
    return len(
        session.scalars(
            update(ModelRequest).where(*lost).values(ended_at=now).returning(ModelRequest.id)
        ).all()
    )


def find_hold(session: Session, *, credential: str) -> CredentialHold | None:
    """The hold of a key, over or not."""
    return session.get(CredentialHold, credential, populate_existing=True)


def lock_hold(session: Session, *, credential: str, now: datetime) -> CredentialHold:
    """The hold of a key, locked; one without strikes, and over, where there was none."""
    fresh = {"reason": HoldReason.CAPACITY, "http_status": 0, "strikes": 0, "since": now, "until": now}
    session.execute(insert(CredentialHold).values(credential=credential, **fresh).on_conflict_do_nothing())
    query = (
        select(CredentialHold).where(CredentialHold.credential == credential).with_for_update(key_share=True)
    )
    return session.scalars(query.execution_options(populate_existing=True)).one()


def claim_end_of_hold(session: Session, *, credential: str, now: datetime, until: datetime) -> bool:
    """Take the first turn after a hold, if that is over; others wait *until* then. Whether it was taken."""
    over = (CredentialHold.credential == credential, CredentialHold.until <= now)
    claim = update(CredentialHold).where(*over).values(until=until).returning(CredentialHold.credential)
    return bool(session.scalars(claim).all())


def end_trial(session: Session, *, credential: str, until: datetime, now: datetime) -> None:
    """Wait no more for the first one after a hold, if it is the one that is waited for *until* then."""
    waiting = (CredentialHold.credential == credential, CredentialHold.until == until)
    session.execute(update(CredentialHold).where(*waiting).values(until=now))


def delete_hold(session: Session, *, credential: str) -> None:
    """Lift a hold."""
    session.execute(delete(CredentialHold).where(CredentialHold.credential == credential))


def list_holds(session: Session) -> Sequence[CredentialHold]:
    """The keys that are not asked with, by name."""
    return session.scalars(select(CredentialHold).order_by(CredentialHold.credential)).all()


def list_usage(session: Session, *, pipeline_id: str) -> Sequence[UsageRead]:
    """What the requests of a pipeline have used, the most of them first."""
    row = ModelRequest
    number = func.count()
    whose = (func.coalesce(AgentRun.role, "check"), row.provider, func.coalesce(row.model, ""))
    is_ended, has_usage = row.ended_at.is_not(None), row.usage
    counts = (
        number,
        number.filter(~is_ended),
        number.filter(row.http_status >= LEAST_FAULTY),
        number.filter(has_usage == UsageKnown.PART),
        number.filter(is_ended, has_usage == UsageKnown.NONE),
    )
    sums = (
        func.sum(each)
        for each in (
            row.input_tokens,
            row.cache_read_tokens,
            row.cache_write_tokens,
            row.output_tokens,
            row.reasoning_tokens,
        )
    )
    query = select(*whose, *counts, *sums, func.coalesce(func.sum(row.milliseconds), 0))
    query = query.join(AgentRun, AgentRun.id == row.agent_run_id)
    query = query.where(AgentRun.pipeline_id == pipeline_id).group_by(*whose).order_by(number.desc(), *whose)
    return [
        UsageRead(**dict(zip(UsageRead.model_fields, found, strict=True))) for found in session.execute(query)
    ]
