"""Taking note of which versions of the others an agent's clone holds."""

from collections.abc import Mapping

from pydantic import BaseModel

from egg_tasks.adapters import workspace
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.services.agents import clone_inspection
from egg_tasks.services.bus import shares
from egg_tasks.services.engine import readiness_signals
from egg_tasks.use_cases import looking, readiness
from egg_tasks.use_cases.looking import LOOKS
from models.consensus.snapshot import BASE
from models.queries import agent_runs
from models.schemas.credential import CallingAgent
from models.shares import Share


class Synced(BaseModel):
    """What a clone holds of the others."""

    head: str
    seen: Mapping[str, int]


def note(who: CallingAgent) -> Synced:
    """Look at the clone's head, and write down what it has seen."""
    with LOOKS.of(who.run_id):
        with single_statements() as session:
            shares.spend(session, run_id=who.run_id, share=Share.SYNC, now=utcnow())
        with looking.at_clone(who.run_id):
            head = workspace().head(who.pipeline_id, clone=readiness.clone(who))
        with single_statements() as session:
            reading = clone_inspection.read(session, run=agent_runs.get_agent_run(session, run_id=who.run_id))
        seen = clone_inspection.seen_in(workspace(), reading, commit=head)
    with unit_of_work() as session:
        readiness_signals.sync(session, run_id=who.run_id, seen=seen, now=utcnow())
    return Synced(head=head, seen={role: number for role, number in seen.items() if role != BASE})
