"""Pipelines, as tasks."""

from egg_tasks.app import app
from egg_tasks.use_cases import clearing, preparing, publishing


@app.task(name="pipelines.prepare")  # type: ignore[untyped-decorator]
def prepare(pipeline_id: str) -> None:
    """Make a pipeline's repository. Safe twice: what is there is kept, and the first commit stands."""
    preparing.prepare(pipeline_id)


@app.task(name="pipelines.publish", autoretry_for=())  # type: ignore[untyped-decorator]
def publish(pipeline_id: str) -> None:
    """Move the work branch to where its row says. Safe twice: a branch that is there stays.

    Not retried by Celery: whoever finds it behind sends it again.
    """
    publishing.publish(pipeline_id)


@app.task(name="pipelines.delete", autoretry_for=())  # type: ignore[untyped-decorator]
def delete(pipeline_id: str) -> None:
    """Remove a pipeline that a person had deleted. Safe twice: its row goes last, and then nothing is done.

    Not retried by Celery: whoever finds it still there sends it again.
    """
    clearing.delete_pipeline(pipeline_id)
    clearing.tidy()
