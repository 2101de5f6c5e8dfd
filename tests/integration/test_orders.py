"""Stopping one agent and running it again, as a person orders it."""

from uuid import uuid4

import pytest

from egg_tasks.services.people import operator_actions, pipelines
from models.consensus.step import DecisionKind
from models.errors import Conflict, NotFound
from models.schemas.run import Exit
from models.states import DecisionStatus, Failure, PhaseStatus, RunStatus
from tests.fakes import runs_in
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester"}
STOPPED = Exit(stopped=True, signal=15)


def stop(world: World, role: str | None = "coder") -> None:
    run = [run for run in world.runs() if run.role == role][-1]
    with world.work() as session:
        operator_actions.stop(session, pipeline_id="p", run_id=run.id, now=world.now)
        world.finish(session)


def retry(world: World, role: str | None = "coder") -> None:
    run = [run for run in world.runs() if run.role == role][-1]
    with world.work() as session:
        operator_actions.retry(session, pipeline_id="p", run_id=run.id, now=world.now)
        world.finish(session)


def test_a_stopped_agent_has_failed_and_a_person_is_asked(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    world.start("tester")

    stop(world)
    assert (world.live("coder").stop_at, world.live("coder").stopped_for) == (world.now, Failure.STOPPED)
    world.end("coder", STOPPED)

    assert (world.runs()[0].status, world.runs()[0].failure) == (RunStatus.FAILED, Failure.STOPPED)
    assert [(row.kind, row.question) for row in world.decisions()] == [
        (DecisionKind.FAILURE, "coder was stopped by a person (run 1). What now? It wrote last: the log")
    ]
    assert world.roles_live() == {"tester"}


def test_a_stopped_agent_obeys_its_policy(world: World) -> None:
    world.begin(definition(CODER | {"on_failure": "abort"}, TESTER))
    world.start("coder")
    world.start("tester")
    stop(world)

    world.end("coder", STOPPED)

    assert world.phase_run().status is PhaseStatus.CLOSING


def test_two_stopped_agents_do_not_stop_the_phase(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    for role in ("coder", "tester"):
        world.start(role)
        stop(world, role)
        world.end(role, STOPPED)

    assert [row.kind for row in world.decisions()] == [DecisionKind.FAILURE, DecisionKind.FAILURE]


def test_an_agent_that_ended_by_itself_before_it_was_stopped_is_not_run_again(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    stop(world)

    world.end("coder", Exit(exit_code=0))

    assert world.runs()[0].failure is Failure.STOPPED
    assert world.roles_live() == set()


def test_an_agent_that_is_not_started_yet_is_sent_to_its_end(world: World) -> None:
    world.begin(definition(CODER))

    stop(world)

    assert [run.role for run in runs_in(world.sent)] == ["coder"]


def test_stopping_twice_is_no_mistake_and_stopping_what_is_over_is(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    stop(world)
    stop(world)
    world.end("coder", STOPPED)

    with pytest.raises(Conflict, match="over already: failed"):
        stop(world)


def test_a_run_nobody_knows_is_not_found(world: World) -> None:
    world.begin(definition(CODER))

    with world.work() as session, pytest.raises(NotFound):
        operator_actions.stop(session, pipeline_id="p", run_id=uuid4(), now=world.now)


def test_a_retry_answers_the_question_about_the_role(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.end("coder", Exit(exit_code=1))

    retry(world)

    assert [(row.status, row.resolution) for row in world.decisions()] == [
        (DecisionStatus.RESOLVED, "Retry (respawn agent)")
    ]
    assert world.roles_live() == {"coder"}


def test_a_retry_unasked_is_an_order_that_is_written_down(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    world.ready("coder")
    world.end("coder")

    retry(world)

    order = world.decisions()[0]
    assert (order.kind, order.key, order.status) == (DecisionKind.ORDER, "order:1", DecisionStatus.RESOLVED)
    assert world.live("coder").causes == [f"retry:decision:{order.id}:0"]
    assert (world.role("coder").runs, world.role("coder").dispatched) == (1, 2)


def test_each_order_has_its_own_key(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    for _ in range(2):
        world.start("coder")
        world.ready("coder")
        world.end("coder")
        retry(world)

    assert [row.key for row in world.decisions()] == ["order:1", "order:2"]


def test_a_role_with_a_live_agent_is_not_run_twice(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")

    with pytest.raises(Conflict, match="stop it first: egg agent stop p coder"):
        retry(world)


def test_a_check_is_not_run_by_order(world: World) -> None:
    world.begin(definition(CODER, check={"run": "make test"}))
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)

    with pytest.raises(Conflict, match="a check plays no role"):
        retry(world, None)


def test_nothing_is_run_by_order_in_a_phase_that_is_over(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")
    world.merge("coder", 1)
    assert world.phase_run().status is PhaseStatus.CLOSING
    with pytest.raises(Conflict, match="closing: nothing more is started"):
        retry(world)

    world.do(pipelines.cancel) if world.pipeline().ended_at is None else None

    with pytest.raises(Conflict, match="cancelled: nothing more is started"):
        retry(world)


def test_a_dropped_role_is_not_run_by_order(world: World) -> None:
    world.begin(definition(CODER | {"on_failure": "continue"}, TESTER))
    world.start("coder")
    world.end("coder", Exit(exit_code=1))

    with pytest.raises(Conflict, match="goes on without coder"):
        retry(world)


def test_a_question_about_the_whole_phase_comes_first(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    for role in ("coder", "tester"):
        world.start(role)
    for role in ("coder", "tester"):
        world.end(role, Exit(exit_code=1))

    with pytest.raises(Conflict, match="about the whole phase and comes first"):
        retry(world)
