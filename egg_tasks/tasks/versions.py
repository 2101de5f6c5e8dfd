"""Versions, as tasks."""

from uuid import UUID

import structlog

from egg_tasks.adapters import workspace
from egg_tasks.app import app
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.outbox import VersionKey
from egg_tasks.services import merges
from egg_tasks.services.merges import MergeOrder
from egg_tasks.tasks.pipelines import publish_work_branch
from egg_tasks.use_cases.alone import alone_at
from egg_tasks.use_cases.faults import is_nobodys, shortened
from models.errors import Rejected

log = structlog.get_logger()


@app.task(name="versions.integrate", autoretry_for=())  # type: ignore[untyped-decorator]
def integrate(phase_run_id: str, role: str, number: int) -> None:
    """Merge a version into the work branch. Safe twice: the row decides which merge counts.

    Not retried by Celery: whoever finds it not made sends it again.
    """
    version = VersionKey(UUID(phase_run_id), role, number)
    with alone_at(version) as is_alone:
        if is_alone:
            _integrate(version)


def _integrate(version: VersionKey) -> None:
    with single_statements() as session:
        made = merges.order(session, version=version)
    if made is not None and _merge(version, made):
        publish_work_branch(made.pipeline_id)


def _merge(version: VersionKey, made: MergeOrder) -> bool:
    """Make and settle a merge; whether it could be made now."""
    try:
        result = workspace().merge(
            made.pipeline_id, work=made.work_commit, version=made.commit, message=made.message
        )
    except Rejected as error:
        with unit_of_work() as session:
            merges.refused(session, version=version, why=error.message, now=utcnow())
        return False
    except Exception as error:
        if is_nobodys(error, home=settings().home):
            raise
        log.exception("merge.failed", pipeline=made.pipeline_id, role=version.role, number=version.number)
        with unit_of_work() as session:
            merges.failed(session, version=version, why=shortened(error), now=utcnow())
        return False
    with unit_of_work() as session:
        merges.settle(session, version=version, made=made, result=result, now=utcnow())
    return True
