"""Rebases, as tasks."""

import structlog

from egg_tasks.adapters import workspace
from egg_tasks.app import app
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.services import rebases
from egg_tasks.services.rebases import RebaseOrder
from egg_tasks.tasks.pipelines import publish_work_branch
from egg_tasks.use_cases.alone import alone_at
from egg_tasks.use_cases.faults import is_nobodys, shortened
from models.errors import Rejected

log = structlog.get_logger()


@app.task(name="rebases.merge", autoretry_for=())  # type: ignore[untyped-decorator]
def merge(number: int) -> None:
    """Fetch the present base and merge it. Safe twice: the row decides which merge counts.

    Not retried by Celery: whoever finds it not made sends it again.
    """
    with alone_at(("rebase", number)) as is_alone:
        if is_alone:
            _merge(number)


def _merge(number: int) -> None:
    with single_statements() as session:
        made = rebases.order(session, number=number)
    if made is not None and _make(number, made):
        publish_work_branch(made.pipeline_id)


def _make(number: int, made: RebaseOrder) -> bool:
    """Make and settle a merge; whether it could be made now."""
    name = made.pipeline_id
    try:
        commit = made.commit or workspace().fetch_base(name, source=made.source, base=made.base)
        result = workspace().merge(name, work=made.work_commit, version=commit, message=made.message(commit))
    except Exception as error:
        if is_nobodys(error, home=settings().home):
            raise
        log.exception("rebase.failed", pipeline=name)
        is_final = isinstance(error, Rejected)
        with unit_of_work() as session:
            rebases.failed(session, number=number, why=shortened(error), is_final=is_final, now=utcnow())
        return False
    with unit_of_work() as session:
        rebases.settle(session, number=number, made=made, commit=commit, result=result, now=utcnow())
    return True
