"""What is in the database, boiled down to what two looks at it can be told apart by."""

from typing import cast
from uuid import UUID

from sqlalchemy import Table, text

from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import agent_runs
from models.consensus.step import DecisionKind
from models.queries import decisions
from models.queries import phase_runs as phase_rows
from models.schemas.run import Exit
from models.tables import Decision
from models.tables.base import Base
from tests import fakes
from tests.integration.api_scene import Scene


def digests() -> dict[str, str]:
    """A digest of every table."""
    return {table.name: _digest(table, "true") for table in Base.metadata.sorted_tables}


def digests_of(pipeline_id: str) -> dict[str, str]:
    """A digest of what every table holds of a pipeline."""
    conditions = {table: _belongs(table) for table in Base.metadata.sorted_tables}
    return {
        table.name: _digest(table, condition, pipeline_id=pipeline_id)
        for table, condition in conditions.items()
        if condition
    }


def ask_a_person(pipeline_id: str) -> int:
    """Have a pipeline ask a question that stops nobody; its number."""
    with unit_of_work() as session:
        phase_run = phase_rows.find_last_phase_run(session, pipeline_id=pipeline_id)
        assert phase_run is not None
        decision = Decision(
            pipeline_id=pipeline_id,
            phase_run_id=phase_run.id,
            key=f"test-{pipeline_id}",
            kind=DecisionKind.CHECK,
            question="Is it good?",
            options=["Accept current state", "Abort phase"],
            default="Abort phase",
            created_at=utcnow(),
        )
        decisions.add_decision(session, decision=decision)
        return decision.id


def finish(scene: Scene, role: str) -> None:
    """End a role's run as its worker does when the agent went well."""
    with unit_of_work() as session:
        agent_runs.settle(
            session,
            run_id=run_of(scene, role),
            outcome=Exit(exit_code=0),
            salvaged=None,
            report=fakes.report(Exit(exit_code=0)),
            now=utcnow(),
        )


def run_of(scene: Scene, role: str) -> UUID:
    """The run a role's token speaks for."""
    return UUID(scene.tokens[role].removeprefix("token-of-"))


def _belongs(table: Table) -> str:
    """The rows of a pipeline, as SQL; nothing where a table knows no pipeline."""
    of_phases = "(SELECT id FROM phase_runs WHERE pipeline_id = :pipeline_id)"
    of_runs = "(SELECT id FROM agent_runs WHERE pipeline_id = :pipeline_id)"
    known = {
        "pipeline_id": "pipeline_id = :pipeline_id",
        "phase_run_id": f"phase_run_id IN {of_phases}",
        "agent_run_id": f"agent_run_id IN {of_runs}",
        "run_id": f"run_id IN {of_runs}",
    }
    if table.name == "pipelines":
        return "id = :pipeline_id"
    return next((condition for column, condition in known.items() if column in table.columns), "")


def _digest(table: Table, condition: str, **values: str) -> str:
    rows = f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table.fullname} t"  # noqa: S608
    with unit_of_work() as session:
        return cast("str", session.scalar(text(f"{rows} WHERE {condition}"), values))
