"""Phase runs, as tasks."""

from uuid import UUID

from egg_tasks.app import app
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.engine import evaluation


@app.task(name="phases.evaluate")  # type: ignore[untyped-decorator]
def evaluate(phase_run_id: str) -> None:
    """Decide what a phase run does next. Safe at any time, any number of times."""
    with unit_of_work() as session:
        evaluation.evaluate(session, phase_run_id=UUID(phase_run_id), now=utcnow())
