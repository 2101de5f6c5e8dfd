"""Deletions: a pipeline goes, with all that is its own and nothing else."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Deletion, News
from egg_tasks.services.agents import clones
from egg_tasks.services.bus import events
from models.errors import Conflict
from models.foreign import named
from models.queries import agent_runs, pipelines
from models.states import LIVE_PIPELINES
from models.tables import AgentRun, Pipeline
from models.tries import BOUNDS, Work

RESEND = timedelta(seconds=15)
BOUND = BOUNDS[Work.DELETION]


def order(session: Session, *, pipeline_id: str, now: datetime) -> None:
    """Have a pipeline that does not run deleted; from then on nobody finds it.

    `Conflict`, with the way out, while it runs, while agents of it are being stopped, or while something of
    its work is kept that is in no branch.
    """
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    if why := refusal(session, pipeline_id=pipeline_id):
        raise Conflict(why, {"status": str(pipeline.status)})
    runs = agent_runs.list_agent_runs(session, pipeline_id=pipeline_id)
    if unclosed := [events.label(run) for run in runs if _is_open(run)]:
        raise Conflict(
            f"pipeline {pipeline_id} cannot be deleted yet: {named(unclosed)} is being stopped and its work "
            "saved; try again in a moment",
            {"unclosed": unclosed},
        )
    pipeline.deleted_at, pipeline.send_after = now, now + RESEND
    pipeline.tries, pipeline.tries_why = 0, None
    # Nothing is told of what is to go: whoever reads it finds that out.
    outbox.of(session).wake(News(pipeline_id))
    outbox.of(session).add(Deletion(pipeline_id))


def refusal(session: Session, *, pipeline_id: str) -> str:
    """Why a pipeline cannot be deleted until somebody does something else first, and what; else nothing."""
    pipeline = pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    if pipeline.status in LIVE_PIPELINES:
        end = f"end it first: egg pipeline cancel {pipeline_id}"
        return f"pipeline {pipeline_id} is {pipeline.status} and cannot be deleted; {end}"
    runs = agent_runs.list_agent_runs(session, pipeline_id=pipeline_id)
    holding = [run for run in runs if run.kept_paths and run.clone_removed_at is None]
    if not holding:
        return ""
    labels = named([events.label(run) for run in holding])
    lines = "; ".join(f"egg gc --kept {run.id}" for run in holding)
    return (
        f"pipeline {pipeline_id} cannot be deleted: work of {labels} could not be saved and is kept. "
        f"Take from it what you need, then remove it: {lines}"
    )


def claim_due(session: Session, *, now: datetime, limit: int) -> list[str]:
    """The pipelines that are to go and that nobody is seen at."""
    found = pipelines.claim_deleted_pipelines(session, now=now, limit=limit, most_tries=BOUND.most)
    for pipeline in found:
        pipeline.send_after = now + RESEND
    return [pipeline.id for pipeline in found]


def failed(session: Session, *, pipeline_id: str, why: str, now: datetime) -> None:
    """Put off a going that could not be done; one that was tried often enough is left alone."""
    pipeline = pipelines.lock_going(session, pipeline_id=pipeline_id)
    if pipeline is not None:
        pipeline.tries += 1
        pipeline.tries_why = why
        pipeline.send_after = now + BOUND.pause(pipeline.tries)


def held_up(pipeline: Pipeline) -> str:
    """What keeps a deleted pipeline from going; empty where nothing does."""
    if pipeline.tries_why is None or pipeline.deleted_at is None:
        return ""
    again = "; mend that, and `egg up` tries it again" if BOUND.is_over(pipeline.tries) else ""
    return f"it is deleted, and its files cannot be removed: {pipeline.tries_why}{again}"


def _is_open(run: AgentRun) -> bool:
    """Whether a run is not over, or nobody has looked yet at what an earlier release left of it."""
    if run.closed_at is None:
        return True
    return run.kept_paths is None and clones.is_to_be_kept(run) and not clones.is_cleared(run)
