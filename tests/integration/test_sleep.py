"""A machine that slept: what was still to come comes that much later, and nothing before that is known."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from egg_tasks.services.agents import halts
from egg_tasks.services.engine import sleep
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import decisions, operator_actions, pipelines, questions
from egg_tasks.services.people.questions import Question
from models.errors import JustAwake
from models.schemas.silence import BEGINNING, Silence
from models.states import DecisionStatus, PhaseStatus, Readiness
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
SOFT, FINALIZE, IDLE = 1800, 180, 3600
NIGHT = 8 * 3600
UNSEEN: Sequence[Sequence[Silence]] = ()


@pytest.fixture
def asleep(world: World) -> World:
    """A coder has worked for ten minutes when the machine sleeps for a night."""
    world.begin(definition(CODER))
    world.start("coder")
    world.pass_time(600)
    tick(world)
    world.pass_time(NIGHT)
    return world


def tick(world: World, silences: Sequence[Sequence[Silence]] = UNSEEN) -> timedelta:
    """Have a process tick that was there all the time; how long the machine slept."""
    with world.work() as session:
        ticked_at = sleep.tick(session, now=world.now)
        world.finish(session)
    return timedelta(0) if ticked_at is None else wake(world, ticked_at, silences)


def wake(world: World, ticked_at: datetime, silences: Sequence[Sequence[Silence]] = UNSEEN) -> timedelta:
    """Have a process that found nothing ticking look into it."""
    with world.work() as session:
        slept = sleep.wake(session, ticked_at=ticked_at, silences=silences, now=world.now)
        world.finish(session)
    return slept


def seconds_to(moment: datetime | None, world: World) -> float:
    """How long it is until then."""
    assert moment is not None
    return (moment - world.now).total_seconds()


def test_nothing_is_judged_before_the_sleep_is_taken_out(asleep: World) -> None:
    with pytest.raises(JustAwake, match="nothing here has ticked for 28800 s: the machine has just woken up"):
        asleep.evaluate()
    with pytest.raises(JustAwake):
        asleep.ready("coder")

    assert asleep.phase_run().converge_at is None
    assert asleep.role("coder").state is Readiness.WORKING


def test_the_soft_deadline_is_as_far_away_as_before(asleep: World) -> None:
    assert tick(asleep) == timedelta(seconds=NIGHT)
    asleep.evaluate()

    assert asleep.phase_run().converge_at is None
    assert seconds_to(asleep.phase_run().soft_deadline_at, asleep) == SOFT - 600
    asleep.pass_time(SOFT - 600)
    tick(asleep, [[]])
    asleep.evaluate()
    assert asleep.phase_run().converge_at == asleep.now


def test_the_hard_deadline_and_the_last_grace_are_as_far_away_as_before(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.pass_time(SOFT)
    tick(world)
    world.evaluate()
    for slept in (NIGHT, 2 * NIGHT):
        world.pass_time(slept)
        tick(world)
        world.evaluate()
        assert seconds_to(world.phase_run().hard_deadline_at, world) == FINALIZE
        assert world.live("coder").converge_at == world.phase_run().converge_at
    world.pass_time(FINALIZE)
    tick(world, [[]])
    world.evaluate()
    world.pass_time(NIGHT)
    tick(world)

    assert seconds_to(world.live("coder").stop_at, world) == 30


def test_an_agent_is_as_idle_as_before(asleep: World) -> None:
    asleep.pass_time(IDLE)
    tick(asleep)
    asleep.evaluate()

    assert asleep.live("coder").converge_at is None
    active_at = asleep.live("coder").last_active_at
    assert seconds_to(active_at, asleep) == -600


def test_a_lease_is_held_over_the_night(asleep: World) -> None:
    before = asleep.live("coder").lease_until
    tick(asleep)

    assert asleep.live("coder").lease_until == (before or asleep.now) + timedelta(seconds=NIGHT)


def test_a_question_does_not_take_its_default_in_the_night(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    with world.work() as session:
        asked = Question("Blue?", ("yes", "no"), "yes", after=timedelta(seconds=1800))
        questions.create(session, pipeline_id="p", question=asked, now=world.now)
        world.finish(session)
    tick(world)
    world.pass_time(NIGHT)
    for _ in range(2):
        with world.work() as session:
            decisions.default(session, decision_id=world.decisions()[0].id, now=world.now)
            world.finish(session)
        tick(world)

    assert world.decisions()[0].status is DecisionStatus.PENDING
    assert seconds_to(world.decisions()[0].deadline, world) == 1800


def test_a_clock_that_stood_still_for_a_person_is_not_moved_twice(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.pass_time(600)
    world.do(pipelines.pause)
    tick(world)
    world.pass_time(NIGHT)
    tick(world)
    world.do(pipelines.resume)

    assert seconds_to(world.phase_run().soft_deadline_at, world) == SOFT - 600


def test_a_clock_that_stood_still_for_a_halt_is_not_moved_twice(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.pass_time(600)
    with world.work() as session:
        halts.order(session, why="", stops_running=False, now=world.now)
        world.finish(session)
    tick(world)
    world.pass_time(NIGHT)
    tick(world)
    with world.work() as session:
        halts.lift(session, now=world.now)
        world.finish(session)

    assert seconds_to(world.phase_run().soft_deadline_at, world) == SOFT - 600


@pytest.mark.parametrize("stops", ["one", "all"])
def test_an_order_to_stop_given_at_the_waking_holds(asleep: World, stops: str) -> None:
    run = asleep.live("coder")
    with asleep.work() as session:
        if stops == "one":
            operator_actions.stop(session, pipeline_id="p", run_id=run.id, now=asleep.now)
        else:
            halts.order(session, why="", stops_running=True, now=asleep.now)
        asleep.finish(session)
    ordered_at = asleep.now
    silence = Silence(BEGINNING, ordered_at - timedelta(seconds=1))
    asleep.pass_time(2)
    tick(asleep, [[silence]])

    assert asleep.live("coder").stop_at == ordered_at


def test_a_dead_reconciler_alone_stops_no_clock(asleep: World) -> None:
    shim: list[Silence] = [Silence(BEGINNING, asleep.phase_run().started_at), Silence(asleep.now, asleep.now)]

    assert tick(asleep, [shim]) == timedelta(0)
    asleep.evaluate()

    assert asleep.phase_run().converge_at == asleep.now


def test_only_the_part_of_the_night_in_which_nobody_ticked_is_taken_out(asleep: World) -> None:
    hour = timedelta(hours=1)
    shim = [Silence(asleep.now - 5 * hour, asleep.now - 2 * hour), Silence(asleep.now, asleep.now)]

    assert tick(asleep, [shim]) == 3 * hour


def test_a_sleep_is_taken_out_once_however_many_find_it(asleep: World) -> None:
    with asleep.work() as session:
        ticked_at = sleep.tick(session, now=asleep.now)
        asleep.finish(session)
    assert ticked_at is not None

    with ThreadPoolExecutor(4) as together:
        slept = list(together.map(lambda _: wake(asleep, ticked_at), range(4)))

    assert sorted(slept) == [timedelta(0)] * 3 + [timedelta(seconds=NIGHT)]
    assert seconds_to(asleep.phase_run().soft_deadline_at, asleep) == SOFT - 600


def test_who_dies_while_taking_it_out_leaves_it_to_the_next(asleep: World) -> None:
    with asleep.work() as session:
        ticked_at = sleep.tick(session, now=asleep.now)
        asleep.finish(session)
    assert ticked_at is not None
    with asleep.work() as session:
        sleep.wake(session, ticked_at=ticked_at, silences=(), now=asleep.now)
        session.rollback()

    assert tick(asleep) == timedelta(seconds=NIGHT)
    assert seconds_to(asleep.phase_run().soft_deadline_at, asleep) == SOFT - 600


def test_a_clock_that_is_set_back_is_no_sleep_and_stops_nothing(asleep: World) -> None:
    tick(asleep)
    asleep.pass_time(-3600)

    assert tick(asleep) == timedelta(0)
    asleep.say("coder", Signal(Readiness.WORKING))
    assert asleep.phase_run().status is PhaseStatus.RUNNING
