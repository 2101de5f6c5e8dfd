"""Pipelines."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from models.errors import Conflict, NotFound
from models.queries.locks import NO_KEY
from models.states import PipelineStatus
from models.tables import MessageStream, Pipeline

NAMES = 0x6567_676E_616D_6573
"""The advisory lock under which pipelines are named ("eggnames")."""


def add_pipeline(session: Session, *, pipeline: Pipeline) -> None:
    """Add a pipeline and its stream; `Conflict` when its id is taken."""
    taken = Conflict(
        f"there is a pipeline {pipeline.id} already; choose another name, or run that one again: "
        f"egg pipeline rerun {pipeline.id}"
    )
    standing = session.get(Pipeline, pipeline.id, populate_existing=True)
    if standing is not None and standing.deleted_at is not None:
        raise Conflict(f"the pipeline {pipeline.id} is being deleted: try again in a moment")
    if standing is not None:
        raise taken
    session.add(pipeline)
    try:
        session.flush()
    except IntegrityError as error:
        raise taken from error
    session.add(MessageStream(pipeline_id=pipeline.id, last_message_id=0, last_event_id=0))
    session.flush()


def lock_names(session: Session) -> None:
    """Let nobody else name a pipeline before the unit of work ends: taken before any other lock."""
    session.execute(select(func.pg_advisory_xact_lock(NAMES)))


def list_names(session: Session, *, beginning: str) -> frozenset[str]:
    """The ids that begin so."""
    query = select(Pipeline.id).where(Pipeline.id.startswith(beginning, autoescape=True))
    return frozenset(session.scalars(query))


def find_by_client_key(session: Session, *, client_key: str) -> Pipeline | None:
    """The pipeline that was made under a caller's own key."""
    return session.scalars(select(Pipeline).where(Pipeline.client_key == client_key)).one_or_none()


def list_reruns(session: Session, *, pipeline_id: str) -> Sequence[str]:
    """The ids of the pipelines that repeat this one, oldest first."""
    query = select(Pipeline.id).where(Pipeline.rerun_of == pipeline_id)
    return session.scalars(query.order_by(Pipeline.created_at, Pipeline.id)).all()


def get_pipeline(session: Session, *, pipeline_id: str) -> Pipeline:
    """One pipeline, not locked, or `NotFound`."""
    return _found(session.get(Pipeline, pipeline_id), pipeline_id)


def share_pipeline(session: Session, *, pipeline_id: str) -> None:
    """Keep a pipeline's phases as they are until the unit of work ends; others may do so too."""
    session.get(Pipeline, pipeline_id, with_for_update={"read": True}, populate_existing=True)


def lock_pipeline(session: Session, *, pipeline_id: str) -> Pipeline:
    """One pipeline, locked: the first lock of whoever moves it. `NotFound` when there is none."""
    pipeline = session.get(Pipeline, pipeline_id, with_for_update=NO_KEY, populate_existing=True)
    return _found(pipeline, pipeline_id)


def _found(pipeline: Pipeline | None, pipeline_id: str) -> Pipeline:
    if pipeline is None:
        raise NotFound(f"there is no pipeline {pipeline_id}; see `egg pipeline list`")
    if pipeline.deleted_at is not None:
        held_up = f", and its files cannot be removed: {pipeline.tries_why}" if pipeline.tries_why else ""
        raise NotFound(f"the pipeline {pipeline_id} is deleted{held_up}", {"is_going": True})
    return pipeline


def list_pipelines(
    session: Session, *, status: PipelineStatus | None, after: str | None, limit: int
) -> Sequence[Pipeline]:
    """Pipelines, newest first, from behind the one called *after*."""
    query = select(Pipeline).where(Pipeline.deleted_at.is_(None))
    query = query.order_by(Pipeline.created_at.desc(), Pipeline.id.desc()).limit(limit)
    if status is not None:
        query = query.where(Pipeline.status == status)
    if after is not None:
        last = get_pipeline(session, pipeline_id=after)
        query = query.where(tuple_(Pipeline.created_at, Pipeline.id) < (last.created_at, last.id))
    return session.scalars(query).all()


def claim_unprepared_pipelines(session: Session, *, now: datetime, limit: int) -> Sequence[Pipeline]:
    """Lock running pipelines without a repository whose preparation is due; skips locked ones."""
    query = (
        select(Pipeline)
        .where(Pipeline.status == PipelineStatus.RUNNING, Pipeline.work_commit.is_(None))
        .where(or_(Pipeline.send_after.is_(None), Pipeline.send_after <= now))
        .order_by(Pipeline.send_after.nulls_first())
        .limit(limit)
    )
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()


def claim_unpublished_pipelines(
    session: Session, *, now: datetime, limit: int, most_tries: int
) -> Sequence[Pipeline]:
    """Lock pipelines whose work branch is behind their row and due to be moved; skips locked ones."""
    query = (
        select(Pipeline)
        .where(Pipeline.work_commit.is_distinct_from(Pipeline.published_commit))
        .where(Pipeline.deleted_at.is_(None), Pipeline.tries < most_tries)
        .where(or_(Pipeline.send_after.is_(None), Pipeline.send_after <= now))
        .order_by(Pipeline.send_after.nulls_first(), Pipeline.id)
        .limit(limit)
    )
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()


def claim_deleted_pipelines(
    session: Session, *, now: datetime, limit: int, most_tries: int
) -> Sequence[Pipeline]:
    """Lock pipelines that are to go and whose going is due; skips locked ones."""
    query = select(Pipeline).where(Pipeline.deleted_at.is_not(None), Pipeline.tries < most_tries)
    query = query.where(or_(Pipeline.send_after.is_(None), Pipeline.send_after <= now)).limit(limit)
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()


def forget_tries(session: Session) -> int:
    """Have what was tried in vain for pipelines tried again, now, and counted anew; how many they are."""
    query = update(Pipeline).where(Pipeline.tries > 0).values(tries=0, send_after=None)
    return len(session.scalars(query.returning(Pipeline.id)).all())


def list_held_up_pipelines(session: Session, *, limit: int) -> Sequence[Pipeline]:
    """The pipelines, deleted ones too, for which something was tried in vain, the most often tried first."""
    query = select(Pipeline).where(Pipeline.tries > 0).options(defer(Pipeline.definition))
    return session.scalars(query.order_by(Pipeline.tries.desc(), Pipeline.id).limit(limit)).all()


def lock_going(session: Session, *, pipeline_id: str) -> Pipeline | None:
    """A pipeline that is to go, locked; None when it is gone."""
    query = select(Pipeline).where(Pipeline.id == pipeline_id, Pipeline.deleted_at.is_not(None))
    return session.scalars(query.with_for_update(key_share=True)).one_or_none()


def is_deleted(session: Session, *, pipeline_id: str) -> bool:
    """Whether a pipeline is to go, and is not gone yet."""
    query = select(Pipeline.id).where(Pipeline.id == pipeline_id, Pipeline.deleted_at.is_not(None))
    return session.scalar(query) is not None


def lock_deleted(session: Session, *, pipeline_id: str) -> bool:
    """Lock a pipeline that is to go, waiting for whoever is at it; False if it is gone by then."""
    query = select(Pipeline.id).where(Pipeline.id == pipeline_id, Pipeline.deleted_at.is_not(None))
    return session.scalar(query.with_for_update(key_share=True)) is not None
