"""What an agent should know now, worded for programs and for who asks while it runs."""

from egg_tasks.database import unit_of_work
from egg_tasks.prompts import prompt
from egg_tasks.services.agents import briefs
from models.queries import agent_runs
from models.schemas.brief import Context
from models.schemas.credential import CallingAgent


def of(who: CallingAgent) -> Context:
    """The context of the run that asks, as its prompt would have it now."""
    with unit_of_work() as session:
        brief = briefs.write(session, run=agent_runs.get_agent_run(session, run_id=who.run_id))
    return prompt.context(brief)
