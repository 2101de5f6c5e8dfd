"""Rebases, as tasks."""

from egg_tasks.app import app
from egg_tasks.use_cases import integrating


@app.task(name="rebases.merge", autoretry_for=())  # type: ignore[untyped-decorator]
def merge(number: int) -> None:
    """Fetch the present base and merge it. Safe twice: the row decides which merge counts.

    Not retried by Celery: whoever finds it not made sends it again.
    """
    integrating.bring_base(number)
