"""Versions, as tasks."""

from uuid import UUID

from egg_tasks.app import app
from egg_tasks.outbox import VersionKey
from egg_tasks.use_cases import integrating


@app.task(name="versions.integrate", autoretry_for=())  # type: ignore[untyped-decorator]
def integrate(phase_run_id: str, role: str, number: int) -> None:
    """Merge a version into the work branch. Safe twice: the row decides which merge counts.

    Not retried by Celery: whoever finds it not made sends it again.
    """
    integrating.integrate(VersionKey(UUID(phase_run_id), role, number))
