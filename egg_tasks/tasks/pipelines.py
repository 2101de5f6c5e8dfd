"""Pipelines, as tasks."""

import structlog

from egg_tasks.adapters import workspace
from egg_tasks.app import app
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services import briefs, pipelines
from egg_tasks.use_cases import clearing
from models.errors import Conflict, NoRoom, Rejected, Unavailable
from models.queries import pipelines as rows

log = structlog.get_logger()


@app.task(name="pipelines.prepare")  # type: ignore[untyped-decorator]
def prepare(pipeline_id: str) -> None:
    """Make a pipeline's repository. Safe twice: what is there is kept, and the first commit stands."""
    commit = _make_repository(pipeline_id)
    if commit is None:
        return
    with unit_of_work() as session:
        pipelines.prepared(session, pipeline_id=pipeline_id, base_commit=commit, now=utcnow())


def _make_repository(pipeline_id: str) -> str | None:
    """The base commit; None when there is no repository yet, which is noted."""
    with unit_of_work() as session:
        pipeline = rows.get_pipeline(session, pipeline_id=pipeline_id)
        definition = pipeline.definition
    base = definition.base_commit or definition.base
    try:
        return workspace().prepare(pipeline_id, source=definition.repo, base=base)
    except Conflict as error:
        log.info("prepare.waits", pipeline=pipeline_id, error=error.message)
    except NoRoom as error:
        # No fault of the repository: it counts as no try.
        log.warning("prepare.waits", pipeline=pipeline_id, error=error.message)
    except (Rejected, Unavailable) as error:
        _failed(pipeline_id, why=error.message, is_final=isinstance(error, Rejected))
    return None


@app.task(name="pipelines.publish", autoretry_for=())  # type: ignore[untyped-decorator]
def publish(pipeline_id: str) -> None:
    """Move the work branch to where its row says. Safe twice: a branch that is there stays.

    Not retried by Celery: whoever finds it behind sends it again.
    """
    publish_work_branch(pipeline_id)


@app.task(name="pipelines.delete", autoretry_for=())  # type: ignore[untyped-decorator]
def delete(pipeline_id: str) -> None:
    """Remove a pipeline that a person had deleted. Safe twice: its row goes last, and then nothing is done.

    Not retried by Celery: whoever finds it still there sends it again.
    """
    clearing.delete_pipeline(pipeline_id)
    clearing.tidy()


def publish_work_branch(pipeline_id: str) -> None:
    """Let the work branch follow its row; one that others moved elsewhere is left alone."""
    commit = _work_commit(pipeline_id)
    if commit is None:
        return
    branch = briefs.branch(pipeline_id, "work")
    stands = workspace().find_branch(pipeline_id, branch=branch)
    is_behind = stands is None or workspace().ancestors(pipeline_id, commit=commit, among=[stands])
    if not is_behind:
        if _work_commit(pipeline_id) != commit:
            # Who publishes a later merge was quicker: the branch is where that row says.
            return
        log.warning("branch.diverged", branch=branch, stands=stands, commit=commit)
    elif not workspace().move_branch(pipeline_id, branch=branch, commit=commit, expected=stands):
        return
    with unit_of_work() as session:
        pipeline = rows.lock_pipeline(session, pipeline_id=pipeline_id)
        if pipeline.work_commit == commit:
            pipeline.published_commit = commit


def _work_commit(pipeline_id: str) -> str | None:
    with unit_of_work() as session:
        return rows.get_pipeline(session, pipeline_id=pipeline_id).work_commit


def _failed(pipeline_id: str, *, why: str, is_final: bool) -> None:
    with unit_of_work() as session:
        pipelines.preparation_failed(
            session, pipeline_id=pipeline_id, why=why, is_final=is_final, now=utcnow()
        )
