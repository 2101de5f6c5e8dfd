"""Versions, as tasks."""

from uuid import UUID

from egg_tasks.app import app
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services import merges
from egg_tasks.services.effects import VersionKey
from egg_tasks.tasks.adapters import workspace
from egg_tasks.tasks.dispatch import dispatch
from egg_tasks.tasks.pipelines import publish_work_branch


@app.task(name="versions.integrate")  # type: ignore[untyped-decorator]
def integrate(phase_run_id: str, role: str, number: int) -> None:
    """Merge a version into the work branch. Safe twice: the row decides which merge counts."""
    version = VersionKey(UUID(phase_run_id), role, number)
    with unit_of_work() as session:
        made = merges.order(session, version=version)
    if made is None:
        return
    result = workspace().merge(
        made.pipeline_id, work=made.work_commit, version=made.commit, message=made.message
    )
    with unit_of_work() as session:
        effects = merges.settle(session, version=version, made=made, result=result, now=utcnow())
        dispatch(session, effects)
    publish_work_branch(made.pipeline_id)
