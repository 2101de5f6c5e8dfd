"""What an agent says went wrong, and what that comes to when its run ends."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from egg_tasks.services.agents import agent_signals
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import operator_actions
from egg_tasks.services.reads import history, pipeline_status
from models.schemas.run import Exit
from models.states import Failure, Readiness, RunStatus
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
CRASH = Exit(exit_code=1)
MINUTE = timedelta(minutes=1)


def report(world: World, kind: Failure, *, retry_at: datetime | None = None) -> None:
    run = world.live("coder")
    with world.work() as session:
        agent_signals.error(session, run_id=run.id, text="", kind=kind, retry_at=retry_at, now=world.now)
        world.finish(session)


@pytest.mark.parametrize("outcome", [CRASH, Exit(exit_code=0)])
@pytest.mark.parametrize("kind", [Failure.QUOTA, Failure.AUTH, Failure.NETWORK, Failure.CONTEXT_OVERFLOW])
def test_a_run_that_ends_badly_failed_by_what_its_agent_reported(
    world: World, kind: Failure, outcome: Exit
) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    report(world, kind)

    world.end("coder", outcome)

    assert (world.runs()[0].status, world.runs()[0].failure) == (RunStatus.FAILED, kind)


def test_a_report_is_nothing_when_the_run_gives_its_verdict(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    report(world, Failure.NETWORK)
    world.say("coder", Signal(Readiness.BLOCKED))

    world.end("coder")

    assert (world.runs()[0].status, world.runs()[0].failure) == (RunStatus.SUCCEEDED, None)


def test_a_run_that_was_taken_away_is_lost_whatever_it_reported(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    report(world, Failure.QUOTA, retry_at=world.now + 60 * MINUTE)

    world.end("coder", Exit())
    world.wait_out()

    assert world.runs()[0].failure is Failure.LOST
    assert world.roles_live() == {"coder"}


def test_a_role_without_quota_runs_again_when_it_is_back_and_uses_up_no_round(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester", "agent": "coder"}))
    world.start("tester")
    world.start("coder")
    report(world, Failure.QUOTA, retry_at=world.now + 20 * MINUTE)

    world.end("coder", Exit(exit_code=1, ended_at=world.now))

    assert world.phase_run().next_evaluation_at == world.now + 20 * MINUTE
    with world.work() as session:
        why = pipeline_status.why(session, pipeline_id="p", now=world.now).waiting[0].why
    assert (
        why
        == "is out of quota (run 1): it said: is out of quota; it is tried again at 2026-01-01 00:20:00 UTC"
    )
    assert (world.role("coder").dispatched, world.role("coder").runs) == (1, 0)
    world.pass_time(20 * 60)
    world.evaluate()
    assert world.roles_live() == {"coder", "tester"}
    assert world.decisions() == []


def test_another_role_of_an_agent_without_quota_does_not_start(world: World) -> None:
    document = definition(CODER, {"role": "tester", "agent": "coder"}, mode="sequential")
    world.begin(document)
    world.start("coder")
    report(world, Failure.QUOTA)

    world.end("coder", Exit(exit_code=1, ended_at=world.now))
    world.evaluate()
    assert world.roles_live() == set()

    world.pass_time(60)
    world.evaluate()
    assert world.roles_live() == {"coder"}


def test_the_last_report_counts_and_a_later_moment_than_reason_allows_does_not(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    report(world, Failure.QUOTA, retry_at=world.now + timedelta(days=4000))

    assert world.live("coder").retry_at == world.now + timedelta(days=1)
    report(world, Failure.NETWORK)
    assert (world.live("coder").reported_failure, world.live("coder").retry_at) == (Failure.NETWORK, None)


def test_a_wrong_credential_is_asked_about_at_once(world: World) -> None:
    world.begin(definition(CODER | {"on_failure": "retry"}))
    world.start("coder")
    report(world, Failure.AUTH)

    world.end("coder", CRASH)

    (asked,) = world.decisions()
    assert asked.question.startswith("coder was refused by its provider: its credential is missing or wrong")


@pytest.mark.parametrize("on_failure", ["ask", "retry"])
def test_a_program_that_is_not_there_is_asked_about_at_once(world: World, on_failure: str) -> None:
    world.begin(definition(CODER | {"on_failure": on_failure}))
    world.start("coder")

    world.end("coder", Exit(error="no such program on PATH: coder-cli", is_missing=True, ended_at=world.now))

    (asked,) = world.decisions()
    assert asked.question.startswith("coder could not be started, since its program is not there")
    assert (world.runs()[0].failure, world.runs()[0].error) == (
        Failure.PROGRAM_MISSING,
        "no such program on PATH: coder-cli",
    )
    assert world.roles_live() == set()


@pytest.mark.parametrize("on_failure", ["ask", "retry"])
def test_a_variable_that_is_not_set_is_asked_about_at_once(world: World, on_failure: str) -> None:
    world.begin(definition(CODER | {"on_failure": on_failure}))
    world.start("coder")

    world.end(
        "coder", Exit(error="KEY is not set in the environment of …", is_unset=True, ended_at=world.now)
    )

    (asked,) = world.decisions()
    assert asked.question.startswith("coder could not be started, since what its definition takes of this")
    assert (world.runs()[0].failure, world.roles_live()) == (Failure.MISSING_CONFIG, set())


def test_what_else_keeps_a_program_from_starting_is_tried_again(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")

    world.end("coder", Exit(error="cannot start a process: Resource temporarily unavailable"))

    assert (world.runs()[0].failure, world.decisions()) == (Failure.STARTUP, [])


def test_what_an_agent_reported_stays_beside_its_run_however_that_ends(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    run_id = world.live("coder").id
    with world.work() as session:
        agent_signals.error(session, run_id=run_id, text="disk of the provider is full", now=world.now)
        world.finish(session)

    world.end("coder", CRASH)

    with world.work() as session:
        run = history.agent(session, pipeline_id="p", run_id=run_id)
        page = history.list_events(session, pipeline_id="p", after=0, limit=100)
    assert run.error == "disk of the provider is full"
    said = "coder (run 1) failed: exit code 1; it said: disk of the provider is full. It wrote last: the log"
    assert said in [event.text for event in page.events]


def run_on(world: World, hours: float) -> list[datetime]:
    """Let the reconciler come by every ten seconds; when runs of the coder were dispatched meanwhile."""
    began: list[datetime] = []
    until = world.now + timedelta(hours=hours)
    while world.now < until and not world.decisions():
        if "coder" in world.roles_live():
            began.append(world.now)
            world.start("coder")
            report(world, Failure.QUOTA, retry_at=world.now - MINUTE)
            world.end("coder", Exit(exit_code=1, ended_at=world.now))
        world.pass_time(10)
        world.evaluate()
    return began


def test_an_agent_that_says_its_quota_is_back_when_it_is_not_starts_a_handful_of_runs(world: World) -> None:
    world.begin(definition(CODER, mode="sequential") | {"config": {"consensus_timeout_minutes": 10_000}})

    began = run_on(world, hours=12)

    waits = [later - earlier for earlier, later in pairwise(began)]
    assert [wait // MINUTE for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    (asked,) = world.decisions()
    assert asked.question == (
        "coder is out of quota (run 11): it said: is out of quota. What now? It wrote last: the log"
    )


def test_a_person_may_let_it_run_earlier(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    report(world, Failure.QUOTA, retry_at=world.now + timedelta(days=400))
    world.end("coder", Exit(exit_code=1, ended_at=world.now))
    run = world.runs()[0]

    with world.work() as session:
        operator_actions.retry(session, pipeline_id="p", run_id=run.id, now=world.now)
        world.finish(session)

    assert world.roles_live() == {"coder"}


def test_an_agent_that_is_killed_for_memory_runs_again_later_each_time_and_is_then_asked_about(
    world: World,
) -> None:
    world.begin(definition(CODER))
    waits = []
    while not world.decisions():
        world.start("coder")
        world.end("coder", Exit(signal=9, ended_at=world.now))
        ended_at = world.now
        while not world.roles_live() and not world.decisions():
            world.pass_time(1)
            world.evaluate()
        waits.append((world.now - ended_at).seconds)

    assert waits[:-1] == [10, 20, 40]
    assert "killed by signal 9" in world.decisions()[0].question
