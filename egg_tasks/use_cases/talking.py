"""Talking on the bus: what is sent alone, and what a reader finds. Nothing here waits."""

from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.services.bus import messages, polls
from egg_tasks.services.bus.messages import PERSON, Draft
from egg_tasks.services.bus.polls import PollPage, Received, Selection
from models.errors import KeyTaken
from models.queries import phase_runs, pipelines
from models.schemas.credential import CallingAgent, Operator
from models.tables import Message


def send(who: Operator | CallingAgent, pipeline_id: str, draft: Draft) -> Message:
    """Send a message; what is in its way is named, and one that was sent before with its key is given."""
    try:
        return _send(who, pipeline_id, draft)
    except KeyTaken:
        # Somebody was first with this key: now the message is there to be found.
        return _send(who, pipeline_id, draft)


def judge(sent: Message) -> None:
    """Have decided what follows from a message that was sent together with others."""
    with single_statements() as session:
        messages.judge(session, sent)


def receive(who: CallingAgent, selection: Selection) -> Received:
    """What is new for an agent, and where it has read now."""
    with single_statements() as session:
        return polls.receive(session, run_id=who.run_id, selection=selection)


def look(pipeline_id: str, role: str, selection: Selection) -> PollPage:
    """What is for a role, shown to a person: nothing is taken from the role by that."""
    with unit_of_work() as session:
        pipelines.get_pipeline(session, pipeline_id=pipeline_id)
        last = phase_runs.find_last_phase_run(session, pipeline_id=pipeline_id)
        return polls.look(
            session,
            pipeline_id=pipeline_id,
            role=role,
            phase_run_id=last.id if last else None,
            selection=selection,
        )


def _send(who: Operator | CallingAgent, pipeline_id: str, draft: Draft) -> Message:
    with unit_of_work() as session:
        if isinstance(who, CallingAgent):
            return messages.send_from_run(session, run_id=who.run_id, draft=draft, now=utcnow())
        pipeline = pipelines.get_pipeline(session, pipeline_id=pipeline_id)
        return messages.send(session, pipeline=pipeline, sender=PERSON, draft=draft, now=utcnow())
