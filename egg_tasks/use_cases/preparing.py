"""Preparing a pipeline: its own repository is made, from the user's."""

from datetime import UTC

import structlog

from egg_tasks.adapters import workspace
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services.people import pipelines
from egg_tasks.use_cases.faults import is_nobodys, shortened
from models.errors import Conflict, EggError, NoRoom, Rejected
from models.queries import pipelines as rows
from models.tables import Pipeline

log = structlog.get_logger()


def prepare(pipeline_id: str) -> None:
    """Make a pipeline's repository. Safe twice: what is there is kept, and the first commit stands."""
    with unit_of_work() as session:
        pipeline = rows.get_pipeline(session, pipeline_id=pipeline_id)
    commit = _make_repository(pipeline)
    if commit is None:
        return
    with unit_of_work() as session:
        # Who was held up meanwhile must not give the next one of its name another's commit.
        if _owner(rows.lock_pipeline(session, pipeline_id=pipeline_id)) == _owner(pipeline):
            pipelines.prepared(session, pipeline_id=pipeline_id, base_commit=commit, now=utcnow())


def _make_repository(pipeline: Pipeline) -> str | None:
    """The base commit; None when there is no repository yet, which is noted."""
    if pipeline.work_commit is not None:
        return pipeline.base_commit
    pipeline_id, definition, owner = pipeline.id, pipeline.definition, _owner(pipeline)
    base = definition.base_commit or definition.base
    try:
        _put_strange_aside(pipeline_id, owner)
        return workspace().prepare(pipeline_id, source=definition.repo, base=base, owner=owner)
    except Conflict as error:
        log.info("prepare.waits", pipeline=pipeline_id, error=error.message)
    except NoRoom as error:
        # No fault of the repository: it counts as no try.
        log.warning("prepare.waits", pipeline=pipeline_id, error=error.message)
    except Exception as error:
        if is_nobodys(error, home=settings().home):
            raise
        if not isinstance(error, EggError):
            log.exception("prepare.failed", pipeline=pipeline_id)
        _failed(pipeline_id, why=shortened(error), is_final=isinstance(error, Rejected))
    return None


def _put_strange_aside(pipeline_id: str, owner: str) -> None:
    """Take what another pipeline of the name left out of the way, as long as this one has the name."""
    with unit_of_work() as session:
        pipeline = rows.lock_pipeline(session, pipeline_id=pipeline_id)
        is_new = pipeline.work_commit is None and _owner(pipeline) == owner
        name = workspace().put_strange_aside(pipeline_id, owner=owner) if is_new else None
    if name is not None:
        log.warning("repository.put_aside", pipeline=pipeline_id, name=name)


def _owner(pipeline: Pipeline) -> str:
    """What tells a pipeline from all others that had or will have its name."""
    return f"{pipeline.id} {pipeline.created_at.astimezone(UTC).isoformat()}"


def _failed(pipeline_id: str, *, why: str, is_final: bool) -> None:
    with unit_of_work() as session:
        pipelines.preparation_failed(
            session, pipeline_id=pipeline_id, why=why, is_final=is_final, now=utcnow()
        )
