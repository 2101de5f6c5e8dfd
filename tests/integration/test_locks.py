"""Two transactions that meet do not wait for each other in a circle."""

import threading
from collections.abc import Callable

from egg_tasks.services import credentials
from egg_tasks.services.agents import agent_runs
from egg_tasks.services.agents.agent_runs import Answer
from egg_tasks.services.bus import events, messages
from egg_tasks.services.bus.messages import Draft
from egg_tasks.services.engine import epochs
from egg_tasks.services.people import pipelines
from models.events import EventType
from models.queries import pipelines as pipeline_rows
from models.schemas.message import MessageType
from models.states import RunStatus
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester"}


def errors_of(*parts: Callable[[], None]) -> list[str]:
    """Run these at once; what they raised."""
    errors: list[str] = []

    def guarded(part: Callable[[], None]) -> None:
        try:
            part()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test names it
            errors.append(repr(error))

    threads = [threading.Thread(target=guarded, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_a_message_with_a_key_and_an_evaluation_do_not_deadlock(world: World) -> None:
    """The sender holds the stream and inserts below the pipeline, which the evaluation holds."""
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    run, phase_run_id = world.live("coder"), world.phase_run().id
    has_stream, has_pipeline = threading.Event(), threading.Event()

    def send() -> None:
        with world.work() as session:
            credentials.hold(session, run_id=run.id)
            pipeline = pipeline_rows.get_pipeline(session, pipeline_id="p")
            draft = Draft(MessageType.STATUS, body="x", client_key="k")
            messages.send(session, pipeline=pipeline, sender="coder", draft=draft, now=world.now)
            has_stream.set()
            has_pipeline.wait()
            world.finish(session)

    def evaluate() -> None:
        has_stream.wait()
        with world.work() as session:
            epoch = epochs.lock(session, phase_run_id=phase_run_id, now=world.now)
            has_pipeline.set()
            events.record(session, EventType.PIPELINE_STARTED, "told", now=world.now, pipeline=epoch.pipeline)
            world.finish(session)

    assert errors_of(send, evaluate) == []


def test_a_run_nobody_had_is_closed_with_its_epoch(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    queued = world.live("tester")

    world.do(pipelines.cancel)

    assert world.run(queued.id).status is RunStatus.CANCELLED
    assert world.run(queued.id).closed_at is not None


def test_a_full_node_parks_what_is_to_be_started(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    queued = world.live("tester")

    with world.work() as session:
        claim = agent_runs.claim(
            session, run_id=queued.id, owner="node/1/2/x", node="node", capacity=1, now=world.now
        )

    assert claim.answer is Answer.PARKED
