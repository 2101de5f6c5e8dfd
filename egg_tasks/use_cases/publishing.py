"""Publishing: the work branch follows its row."""

import structlog

from egg_tasks.adapters import workspace
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import publications
from egg_tasks.use_cases.faults import is_nobodys, shortened
from models.git_names import work_branch

log = structlog.get_logger()


def publish(pipeline_id: str) -> None:
    """Let the work branch follow its row; what keeps it from that is noted, and it is tried again."""
    try:
        _publish(pipeline_id)
    except Exception as error:
        if is_nobodys(error, home=settings().home):
            raise
        log.warning("publish.failed", pipeline=pipeline_id, error=shortened(error))
        with unit_of_work() as session:
            publications.failed(session, pipeline_id=pipeline_id, why=shortened(error), now=utcnow())


def _publish(pipeline_id: str) -> None:
    """Move the work branch to where its row says; one that others moved elsewhere is left alone."""
    commit = _work_commit(pipeline_id)
    if commit is None:
        return
    branch = work_branch(pipeline_id)
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
        publications.succeeded(session, pipeline_id=pipeline_id, commit=commit)


def _work_commit(pipeline_id: str) -> str | None:
    with unit_of_work() as session:
        return publications.order(session, pipeline_id=pipeline_id)
