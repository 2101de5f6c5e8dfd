"""Why it failed is told wherever somebody is asked: by the rows alone, since a run's files may be gone."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy.orm import Session

from egg_tasks.outbox import Notice
from egg_tasks.prompts.prompt import render
from egg_tasks.services.engine import failures
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import notifications, pipelines
from egg_tasks.services.reads import consensus_status, history, overviews, pipeline_status
from models.consensus.step import DecisionKind
from models.schemas.report import Consensus, DecisionRead, FailureRead
from models.schemas.run import Exit
from models.states import Failure, Readiness
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
LOG = "loading\nTraceback (most recent call last):\nKeyError: 'api_key'\n"
TAIL = ("loading", "Traceback (most recent call last):", "KeyError: 'api_key'")
T = TypeVar("T")


def read(world: World, look: Callable[[Session], T]) -> T:
    with world.work() as session:
        return look(session)


def crash(world: World, role: str = "coder", *, code: int = 1, log: str = LOG) -> None:
    world.start(role)
    world.end(role, Exit(exit_code=code, ended_at=world.now), log=log)


def asked(world: World) -> DecisionRead:
    found = read(world, lambda session: pipeline_status.list_decisions(session, pipeline_id="p"))
    return found[-1]


def failed(world: World) -> FailureRead:
    (one,) = asked(world).failures
    return one


def event(world: World, kind: str) -> tuple[str, dict[str, object]]:
    page = read(world, lambda s: history.list_events(s, pipeline_id="p", after=0, limit=100))
    found = [each for each in page.events if each.type == kind][-1]
    return found.text, dict(found.data)


def test_a_question_about_a_failure_carries_its_class_exit_code_last_lines_and_the_command(
    world: World,
) -> None:
    world.begin(definition(CODER))

    crash(world)

    one = failed(world)
    assert (one.failure, one.exit_code, one.log_tail) == (Failure.PROCESS_FAILURE, 1, TAIL)
    assert one.said == "coder failed (run 1): exit code 1"
    assert one.logs == f"egg agent logs p {str(one.run)[:8]}"
    assert asked(world).question.endswith("exit code 1. What now? It wrote last: KeyError: 'api_key'")


def test_the_events_of_a_failure_carry_the_same(world: World) -> None:
    world.begin(definition(CODER))

    crash(world)

    text, data = event(world, "agent.failed")
    assert text == "coder (run 1) failed: exit code 1. It wrote last: KeyError: 'api_key'"
    assert data == failed(world).model_dump(mode="json")
    assert event(world, "decision.created")[1] == {"failures": [data]}


def test_the_webhook_is_told_the_same(world: World) -> None:
    world.begin(definition(CODER))
    crash(world)
    attempt = Notice(world.decisions()[0].id, 1)

    content = read(world, lambda session: notifications.begin(session, attempt=attempt, now=world.now))

    assert content is not None
    said = content["decision"]
    assert isinstance(said, dict)
    assert said["failures"] == [failed(world).model_dump(mode="json")]


def test_why_and_the_report_of_a_pipeline_that_failed_carry_the_same(world: World) -> None:
    world.begin(definition(CODER | {"on_failure": "abort"}))

    crash(world)
    world.evaluate()

    why = read(world, lambda session: pipeline_status.why(session, pipeline_id="p", now=world.now))
    (one,) = why.failures
    assert one.log_tail == TAIL
    assert "coder failed (run 1): exit code 1. It wrote last: KeyError: 'api_key'" in why.why


def test_a_program_that_is_not_there_is_named_with_the_reason(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")

    world.end("coder", Exit(error="no such program on PATH: x", is_missing=True), log="")

    assert "(run 1): no such program on PATH: x. `egg doctor` shows where" in asked(world).question
    assert (failed(world).failure, failed(world).log_tail) == (Failure.PROGRAM_MISSING, ())


def test_runs_that_end_again_and_again_without_a_verdict_show_what_they_wrote(world: World) -> None:
    world.begin(definition(CODER))

    while not world.decisions():
        crash(world, code=0, log="all is fine")
        world.wait_out()

    assert (failed(world).failure, failed(world).log_tail) == (Failure.NO_VERDICT, ("all is fine",))
    assert event(world, "agent.completed")[0] == (
        "coder (run 3) ended without a verdict. It wrote last: all is fine"
    )


def test_a_check_that_is_red_again_shows_its_failing_lines(world: World) -> None:
    world.begin(definition(CODER, check={"run": "make test"}))
    for number in (1, 2):
        world.start("coder")
        world.say("coder", Signal(Readiness.READY, reason="it is flaky"), is_new=number == 1)
        world.end("coder")
        if number == 1:
            world.merge("coder", 1)
        world.start(None)
        world.end(None, Exit(exit_code=1, ended_at=world.now), log="FAILED test_a\n1 failed\n")

    question = asked(world)
    assert question.kind == DecisionKind.CHECK
    assert "is red again without a change (exit code 1)" in question.question
    assert question.question.endswith("It wrote last: 1 failed")
    (one,) = question.failures
    assert (one.role, one.said) == (None, "the check is red (run 2): exit code 1")
    assert one.log_tail == ("FAILED test_a", "1 failed")
    text, data = event(world, "check.ended")
    assert text.endswith("is red (exit code 1). It wrote last: 1 failed")
    assert data["log_tail"] == ["FAILED test_a", "1 failed"]


def test_two_that_fail_together_are_both_shown(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))

    crash(world, "coder")
    crash(world, "tester", code=3, log="boom")

    question = asked(world)
    assert question.question == (
        "coder failed (run 1): exit code 1; tester failed (run 1): exit code 3."
        " They failed within 60 s of each other, so all agents were stopped. What now?"
    )
    assert {one.role: one.log_tail[-1] for one in question.failures} == {
        "coder": "KeyError: 'api_key'",
        "tester": "boom",
    }


def test_failures_that_are_alike_are_told_once_and_their_event_asks_nothing(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))

    crash(world, "coder")
    crash(world, "tester")

    said = "coder failed (run 1): exit code 1; likewise tester. They failed within 60 s of each other, so all"
    assert asked(world).question == f"{said} agents were stopped. What now?"
    assert event(world, "phase.failed")[0] == f"build stops: {said} agents were stopped."


def test_a_role_reads_the_same_wherever_it_is_listed(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}, {"role": "helper"}))
    world.start("tester")
    crash(world, "helper")
    world.pass_time(100)
    world.answer("Continue without")
    crash(world, "coder")

    def told() -> list[dict[str, str]]:
        status = read(world, lambda s: pipeline_status.status(s, pipeline_id="p", now=world.now))
        phases = read(world, lambda s: history.list_phases(s, pipeline_id="p", now=world.now))
        page = read(world, lambda s: overviews.running(s, after=None, limit=10, now=world.now))
        return [
            {name: one.condition for name, one in status.concurrent.consensus.agents.items()},
            {one.role: one.condition for one in phases[-1].roles},
            {one.role: one.condition for one in page.pipelines[0].roles},
        ]

    first, *others = told()

    assert others == [first, first]
    assert first == {"coder": "failed", "tester": "WORKING", "helper": "left out"}


def test_the_next_run_is_shown_how_the_last_one_ended(world: World) -> None:
    world.begin(definition(CODER))
    crash(world, log="## Directives\nKeyError")
    world.pass_time(1)
    world.answer("Retry (respawn agent)")

    brief = world.start("coder")

    assert brief is not None
    assert (
        "- coder failed (run 1): exit code 1. It wrote last:\n  > ## Directives\n  > KeyError\n"
    ) in render(brief)


def test_a_run_that_gave_what_it_owed_leaves_nothing_of_its_output_in_its_row(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")

    world.end("coder", log="the key is 1234")

    assert [run.log_tail for run in world.runs()] == [""]


def test_an_answered_question_still_says_what_it_was_about(world: World) -> None:
    world.begin(definition(CODER))
    crash(world)
    world.pass_time(1)
    world.answer("Retry (respawn agent)")
    crash(world, log="another")

    first = read(world, lambda session: pipeline_status.list_decisions(session, pipeline_id="p"))[0]

    assert [one.log_tail for one in first.failures] == [TAIL]


def test_a_cancelled_run_has_not_failed(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    run = world.live("coder")
    world.do(pipelines.cancel)

    assert not failures.has_failed(world.run(run.id))


def consensus(world: World) -> Consensus:
    def look(session: Session) -> Consensus:
        return consensus_status.consensus(
            session, consensus_status.read(session, pipeline_id="p", now=world.now)
        )

    return read(world, look)


def test_a_failed_role_says_so_in_a_plain_word_with_its_reason(world: World) -> None:
    world.begin(definition(CODER))

    crash(world)

    coder = consensus(world).agents["coder"]
    assert (coder.condition, coder.why) == ("failed", "failed (run 1): exit code 1")


@pytest.mark.parametrize("merged", [False, True])
def test_what_is_missing_for_consensus_is_named(world: World, merged: bool) -> None:
    world.begin(definition(CODER, check={"run": "make test"}))
    world.start("coder")
    world.ready("coder")
    if merged:
        world.merge("coder", 1)

    lacking = [(one.role, one.why) for one in consensus(world).lacking]

    merge = [(None, "the merge of coder's version 1"), (None, "the check after it")]
    tip = str(world.pipeline().work_commit)[:10]
    assert lacking == ([(None, f"the check of {tip}")] if merged else merge)


def test_a_role_that_is_blocked_is_named_with_whom_it_waits_for(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")
    world.say("tester", Signal(Readiness.BLOCKED, on="coder"))

    assert [(one.role, one.why) for one in consensus(world).lacking] == [
        ("coder", "is WORKING"),
        ("tester", "is BLOCKED on coder"),
    ]
