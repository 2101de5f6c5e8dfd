"""Publications: the work branch in a pipeline's repository follows its row."""

from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.services.bus import events
from models.events import EventType
from models.git_names import work_branch
from models.queries import pipelines
from models.tables import Pipeline
from models.tries import BOUNDS, Work

BOUND = BOUNDS[Work.PUBLICATION]
AGAIN = "mend that, and it is tried again at the next merge and at the next `egg up`"


def order(session: Session, *, pipeline_id: str) -> str | None:
    """Where the branch is to be; None as long as there is no repository."""
    return pipelines.get_pipeline(session, pipeline_id=pipeline_id).work_commit


def succeeded(session: Session, *, pipeline_id: str, commit: str) -> None:
    """Note that the branch is there, or left to whoever moved it elsewhere."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.work_commit == commit:
        pipeline.published_commit = commit
        pipeline.tries, pipeline.tries_why = 0, None


def failed(session: Session, *, pipeline_id: str, why: str, now: datetime) -> None:
    """Put off a move that could not be made; one that was tried often enough is told and left alone."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.work_commit == pipeline.published_commit:
        return
    pipeline.tries += 1
    pipeline.tries_why = why
    pipeline.send_after = now + BOUND.pause(pipeline.tries)
    if pipeline.tries == BOUND.most:
        text = f"{held_up(pipeline)}; it was tried {pipeline.tries} times: {AGAIN}"
        events.record(session, EventType.BRANCH_HELD_UP, text, now=now, pipeline=pipeline)


def held_up(pipeline: Pipeline) -> str:
    """What keeps the branch from following, and when that is tried again; empty where nothing does."""
    if pipeline.tries_why is None or pipeline.deleted_at is not None:
        return ""
    said = f"the branch {work_branch(pipeline.id)} cannot be moved: {pipeline.tries_why}"
    if BOUND.is_over(pipeline.tries):
        return said
    return f"{said} (tried again at {pipeline.send_after:%H:%M:%S} UTC)" if pipeline.send_after else said
