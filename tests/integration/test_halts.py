"""Stopping all: once it is committed nothing starts, and what waits starts when it is lifted."""

import threading
from datetime import timedelta

import pytest

from egg_tasks.services.agents import agent_runs, halts, scheduling
from egg_tasks.services.agents.agent_runs import Answer, Claim
from egg_tasks.services.reads import pipeline_status
from models.errors import Halted
from models.queries import halts as rows
from models.queries import phase_runs
from models.schemas.run import Exit
from models.states import CheckStatus, RunStatus
from models.tables import Halt
from tests.fakes import runs_in
from tests.integration.world import START, World, definition

CODER: dict[str, object] = {"role": "coder"}
MINUTE = timedelta(minutes=1)


def stop_all(world: World, *, why: str = "", running: bool = False) -> Halt:
    with world.work() as session:
        halt = halts.order(session, why=why, stops_running=running, now=world.now)
        world.finish(session)
    return halt


def lift(world: World) -> list[str]:
    """Lift the halt; the roles that are sent at once."""
    with world.work() as session:
        halts.lift(session, now=world.now)
        world.finish(session)
    return [run.role for run in runs_in(world.sent)]


def claim(world: World, role: str | None) -> Claim:
    run = world.live(role)
    with world.work() as session:
        found = agent_runs.claim(
            session, run_id=run.id, owner="node/1/1/x", node="node", capacity=9, now=world.now
        )
        world.finish(session)
    return found


def test_no_run_is_started_while_all_is_stopped(world: World) -> None:
    world.begin(definition(CODER))

    stop_all(world)

    assert claim(world, "coder").answer is Answer.PARKED
    assert world.live("coder").status is RunStatus.QUEUED


def test_no_check_is_started_while_all_is_stopped(world: World) -> None:
    world.begin(definition(CODER, check={"run": "make test"}))
    world.start("coder")
    stop_all(world)
    world.ready("coder")
    world.end("coder")

    world.merge("coder", 1)

    assert claim(world, None).answer is Answer.PARKED


def test_the_reconciler_sends_nothing_that_may_not_start(world: World) -> None:
    world.begin(definition(CODER))
    stop_all(world)
    world.pass_time(600)

    with world.work() as session:
        assert scheduling.send_due(session, now=world.now) == 0


def test_a_run_that_is_to_end_is_taken_although_all_is_stopped(world: World) -> None:
    world.begin(definition(CODER))
    stop_all(world)
    with world.work() as session:
        session.merge(world.live("coder")).stop_at = world.now
        world.finish(session)

    assert claim(world, "coder").answer is Answer.CLAIMED


def test_a_launch_that_is_on_its_way_is_refused(world: World) -> None:
    stop_all(world, why="the bill")

    with (
        world.work() as session,
        pytest.raises(Halted, match=r"\(the bill\): no agent starts until `egg stop"),
    ):
        halts.refuse(session)


def test_a_run_that_slipped_through_is_stopped_again(world: World) -> None:
    world.begin(definition(CODER))
    claimed = claim(world, "coder")
    stop_all(world)

    with world.work() as session:
        agent_runs.started(session, run_id=claimed.run.id, now=world.now)
        world.finish(session)

    assert world.live("coder").stop_at == world.now


def test_lifting_sends_what_waits_at_once(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    stop_all(world)
    claim(world, "coder")
    world.pass_time(60)

    roles = lift(world)

    assert sorted(roles) == ["coder", "tester"]
    assert claim(world, "coder").answer is Answer.CLAIMED


def test_stopping_and_lifting_twice_are_no_mistakes(world: World) -> None:
    first = stop_all(world, why="first")
    world.pass_time(5)

    assert (stop_all(world, why="second").id, stop_all(world).why) == (first.id, "first")
    lift(world)
    assert lift(world) == []
    stop_all(world, why="third")
    with world.work() as session:
        standing = rows.find_standing_halt(session)
    assert standing is not None
    assert standing.why == "third"


def test_agents_that_run_go_on_unless_they_are_to_be_stopped(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")

    stop_all(world)
    assert world.live("coder").stop_at is None

    stop_all(world, running=True)
    assert world.live("coder").stop_at == world.now


def test_an_agent_stopped_with_all_ends_well_and_runs_again_after_the_lift(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    stop_all(world, running=True)

    world.end("coder", Exit(stopped=True, signal=15))

    assert [run.status for run in world.runs()] == [RunStatus.SUCCEEDED, RunStatus.QUEUED]
    assert claim(world, "coder").answer is Answer.PARKED
    assert world.decisions() == []
    assert lift(world) == ["coder"]
    assert world.live("coder").causes == ["first::0:0", "recovery::1:0"]


def test_a_check_stopped_with_all_is_no_error_of_it(world: World) -> None:
    world.begin(definition(CODER, check={"run": "make test"}))
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.start(None)
    stop_all(world, running=True)

    world.end(None, Exit(stopped=True, signal=15))

    assert [(row.status, row.errors) for row in world.checks()] == [(CheckStatus.RUNNING, 0)]
    assert lift(world) == ["check"]


def test_deadlines_move_by_the_time_all_was_stopped(world: World) -> None:
    world.begin(definition(CODER))
    with world.work() as session:
        phase_run = phase_runs.get_phase_run(session, phase_run_id=world.phase_run().id)
        phase_run.soft_deadline_at = START + 30 * MINUTE
        world.finish(session)
    world.pass_time(60)
    stop_all(world)
    world.pass_time(600)

    lift(world)

    assert world.phase_run().soft_deadline_at == START + 40 * MINUTE
    assert world.phase_run().hard_deadline_at is None


def test_a_clock_that_stands_still_is_not_moved_twice(world: World) -> None:
    world.begin(definition(CODER))
    stop_all(world)
    with world.work() as session:
        phase_run = phase_runs.get_phase_run(session, phase_run_id=world.phase_run().id)
        phase_run.soft_deadline_at = START + 30 * MINUTE
        phase_run.clock_stopped_at = START + 2 * MINUTE
        world.finish(session)
    world.pass_time(600)

    lift(world)

    assert world.phase_run().soft_deadline_at == START + 32 * MINUTE


def test_why_and_status_say_that_all_is_stopped(world: World) -> None:
    world.begin(definition(CODER))
    stop_all(world, why="the bill")

    with world.work() as session:
        why = pipeline_status.why(session, pipeline_id="p", now=world.now)
    with world.work() as session:
        status = pipeline_status.status(session, pipeline_id="p", now=world.now)

    said = (
        "all is stopped since 2026-01-01 00:00:00 UTC (the bill): no agent starts until `egg stop-all --lift`"
    )
    assert why.why.startswith(said)
    assert status.why.startswith(said)
    assert (why.halt and why.halt.why, status.halt and status.halt.why) == ("the bill", "the bill")


def test_a_halt_waits_for_a_claim_that_is_under_way(world: World) -> None:
    world.begin(definition(CODER))
    run = world.live("coder")
    ordered = threading.Event()

    def order() -> None:
        stop_all(world)
        ordered.set()

    with world.work() as session:
        agent_runs.claim(session, run_id=run.id, owner="a/1/1/x", node="a", capacity=9, now=world.now)
        thread = threading.Thread(target=order)
        thread.start()
        assert not ordered.wait(0.3)
        world.finish(session)
    thread.join(10)

    assert ordered.is_set()
    assert world.live("coder").status is RunStatus.STARTING


def test_a_claim_waits_for_a_halt_that_is_being_ordered(world: World) -> None:
    world.begin(definition(CODER))
    found: list[Answer] = []

    with world.work() as session:
        halts.order(session, why="", stops_running=False, now=world.now)
        thread = threading.Thread(target=lambda: found.append(claim(world, "coder").answer))
        thread.start()
        thread.join(0.3)
        assert found == []
        world.finish(session)
    thread.join(10)

    assert found == [Answer.PARKED]
