"""Who is sent when nodes are full, and that nothing is left running of a phase that cannot be manned."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import RunToSend
from egg_tasks.services.agents import agent_runs, scheduling
from egg_tasks.services.agents.agent_runs import Answer
from egg_tasks.services.people import pipelines
from models.queries import agent_runs as rows
from models.queries import places as place_rows
from models.queries import streams
from models.schemas.definition import validate
from models.schemas.run import Exit
from models.states import PhaseStatus, RunStatus
from tests import fakes
from tests.fakes import runs_in
from tests.integration.world import START, World, definition

ROLES: tuple[dict[str, object], ...] = tuple({"role": role} for role in "abcd")


class Crowd:
    """Pipelines of four roles each, one node of two places, and the queue between them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = START
        self.queue: list[RunToSend] = []
        self.started: list[str] = []
        self.live: list[RunToSend] = []

    def begin(self, name: str) -> None:
        """Start a pipeline whose four agents are due."""
        document = definition(*ROLES) | {"name": name}
        with self.work() as session:
            pipelines.create(session, definition=validate(document), now=self.now)
            pipelines.start(session, pipeline_id=name, now=self.now)
            pipelines.prepared(session, pipeline_id=name, base_commit="base", now=self.now)
            self.finish(session)
        self.now += timedelta(milliseconds=1)

    def attend(self) -> None:
        """Take everything from the queue, as a worker with more threads than places does."""
        while self.queue:
            run = self.queue.pop(0)
            with self.work() as session:
                claim = agent_runs.claim(
                    session, run_id=run.run_id, owner="n/1/1/x", node="n", capacity=2, now=self.now
                )
                self.finish(session)
            if claim.answer is Answer.CLAIMED:
                with self.work() as session:
                    agent_runs.started(session, run_id=run.run_id, now=self.now)
                    self.finish(session)
                self.started.append(claim.run.pipeline_id)
                self.live.append(run)

    def end(self, *, code: int = 1) -> None:
        """End the agent that has run longest, by a crash; with code 0 it is due again at once."""
        run = self.live.pop(0)
        self.now += timedelta(minutes=2)
        with self.work() as session:
            outcome = Exit(exit_code=code)
            agent_runs.settle(
                session,
                run_id=run.run_id,
                outcome=outcome,
                salvaged=None,
                report=fakes.report(outcome),
                now=self.now,
            )
            self.finish(session)

    def work(self) -> Session:
        """A session; `finish` commits it as a unit of work does."""
        return Session(self.engine, expire_on_commit=False)

    def finish(self, session: Session) -> None:
        """Commit, and send what was to be sent."""
        parcels = outbox.of(session).seal(streams.number_pending(session))
        session.commit()
        self.queue.extend(runs_in(parcels))


@pytest.fixture
def crowd(world: World) -> Crowd:
    """An empty database."""
    return Crowd(world.engine)


def test_no_pipeline_starves_where_two_agents_have_room(crowd: Crowd) -> None:
    for name in ("first", "second", "third"):
        crowd.begin(name)
    crowd.attend()
    assert crowd.started == ["first", "first"]

    for _ in range(6):
        crowd.end()
        crowd.attend()

    assert Counter(crowd.started[2:]) == {"first": 2, "second": 2, "third": 2}
    assert crowd.started[2:5] == ["second", "third", "first"]
    assert len(crowd.live) == 2


def test_a_pipeline_whose_agents_are_due_again_at_once_keeps_nobody_out(crowd: Crowd) -> None:
    crowd.begin("first")
    crowd.begin("second")
    crowd.attend()

    crowd.end(code=0)
    crowd.attend()

    assert crowd.started == ["first", "first", "second"]


def test_a_free_place_is_taken_without_the_reconciler(crowd: Crowd) -> None:
    crowd.begin("only")
    crowd.attend()

    crowd.end()

    assert len(crowd.queue) == 1


def test_the_reconciler_sends_only_what_there_is_room_for(crowd: Crowd) -> None:
    crowd.begin("first")
    crowd.begin("second")
    crowd.attend()
    crowd.now += timedelta(minutes=1)

    with crowd.work() as session:
        assert place_rows.count_free_places(session) == 0
        scheduling.send_due(session, now=crowd.now)
        found = runs_in(outbox.of(session).parcels)

    # Those that run and whose worker is silent are attended again; nobody else.
    assert {run.run_id for run in found} == {run.run_id for run in crowd.live}
    assert {run.node for run in found} == {"n"}


def test_before_any_node_is_known_all_is_sent(crowd: Crowd) -> None:
    crowd.begin("first")
    crowd.now += timedelta(minutes=1)

    with crowd.work() as session:
        assert place_rows.count_free_places(session) is None
        assert scheduling.send_due(session, now=crowd.now) == len(ROLES)


def test_what_was_just_sent_is_not_sent_again(crowd: Crowd) -> None:
    crowd.begin("first")

    with crowd.work() as session:
        assert scheduling.send_due(session, now=crowd.now) == 0


def test_a_phase_that_cannot_be_manned_leaves_nothing_running(world: World) -> None:
    world.begin(definition({"role": "coder", "on_failure": "abort"}, {"role": "tester"}))
    world.start("tester")
    for pause in (10, 20, 40):
        world.start("coder")
        world.end("coder", Exit(error="no such program"))
        world.pass_time(pause)
        world.evaluate()
    world.start("coder")

    world.end("coder", Exit(error="no such program"))

    assert world.phase_run().status is PhaseStatus.CLOSING
    assert world.live("tester").stop_at is not None
    world.end("tester", Exit(stopped=True, signal=15))
    assert world.phase_run().status is PhaseStatus.FAILED
    assert world.roles_live() == set()
    with world.work() as session:
        statuses = [run.status for run in rows.list_agent_runs(session, pipeline_id="p")]
    assert RunStatus.RUNNING not in statuses


def test_a_run_that_was_sent_in_vain_and_then_attended_is_sent_again_without_delay(crowd: Crowd) -> None:
    crowd.begin("p")
    [run, *_] = crowd.queue
    for _ in range(5):
        crowd.now += timedelta(minutes=2)
        with crowd.work() as session:
            scheduling.send_due(session, now=crowd.now)
            crowd.finish(session)
    with crowd.work() as session:
        agent_runs.claim(session, run_id=run.run_id, owner="n/1/1/x", node="n", capacity=9, now=crowd.now)
        crowd.finish(session)

    crowd.now += agent_runs.LEASE + timedelta(minutes=2)
    with crowd.work() as session:
        scheduling.send_due(session, now=crowd.now)
        sent = [each.run_id for each in runs_in(outbox.of(session).parcels)]
        row = rows.get_agent_run(session, run_id=run.run_id)

    assert run.run_id in sent
    assert row.send_after - crowd.now == 2 * scheduling.FIRST_RESEND
