"""A phase run from its first row to its end, in a real database."""

from functools import partial

import pytest

from egg_tasks.outbox import VersionKey
from egg_tasks.prompts.prompt import context
from egg_tasks.services.agents.agent_runs import Salvaged
from egg_tasks.services.engine import merges
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import operator_actions, pipelines
from egg_tasks.services.reads import pipeline_status
from models.consensus.step import DecisionKind
from models.errors import Conflict
from models.schemas.message import MessageType
from models.schemas.run import Exit
from models.states import (
    CheckStatus,
    DecisionStatus,
    MergeStatus,
    ObjectionStatus,
    PhaseStatus,
    PipelineStatus,
    Readiness,
    RunStatus,
    StopReason,
)
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester", "reviews": ["coder"]}


def test_one_role_comes_to_consensus_and_completes_the_pipeline(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")
    world.merge("coder", 1)

    world.end("coder")

    assert world.phase_run().status is PhaseStatus.COMPLETE
    assert world.phase_run().stop_reason is StopReason.CONSENSUS
    assert world.pipeline().status is PipelineStatus.COMPLETE


def test_an_exit_code_is_no_agreement(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")

    world.end("coder", Exit(exit_code=0))
    world.wait_out()

    assert world.live("coder").causes == ["first::0:0", "recovery::1:0"]


def test_the_last_ready_closes_the_phase_at_once(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")

    world.merge("coder", 1)

    assert world.phase_run().status is PhaseStatus.CLOSING


def test_a_closing_phase_refuses_readiness(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")
    world.merge("coder", 1)

    with pytest.raises(Conflict, match="closing"):
        world.say("coder", Signal(Readiness.WORKING))


def test_an_objection_is_answered_by_a_version_and_withdrawn_by_ready(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    world.start("tester")
    world.say("tester", Signal(Readiness.BLOCKED, on="coder"))
    world.end("tester")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.start("tester")
    world.say("tester", Signal(Readiness.OBJECTING, about="coder", reason="f(0) is 1"), coder=1)
    world.end("tester")
    brief = world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 2)
    world.start("tester")
    world.ready("tester", coder=2)
    world.merge("tester", 1)

    world.end("tester")

    assert brief is not None
    assert [objection.reason for objection in brief.objections] == ["f(0) is 1"]
    assert [row.status for row in world.objections()] == [ObjectionStatus.WITHDRAWN]
    assert world.phase_run().stop_reason is StopReason.CONSENSUS


def test_an_unchanged_ready_with_an_objection_unanswered_is_refused(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    world.start("tester")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.say("tester", Signal(Readiness.OBJECTING, about="coder", reason="wrong"), coder=1)
    world.start("coder")

    with pytest.raises(Conflict, match="objection 1 stands against you"):
        world.ready("coder", is_new=False)


def test_blocked_on_what_has_happened_already_is_refused(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    world.start("tester")
    world.ready("coder")

    with pytest.raises(Conflict, match="egg sync"):
        world.say("tester", Signal(Readiness.BLOCKED, on="coder"))


def test_two_roles_blocked_on_each_other_become_a_question(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")
    world.say("coder", Signal(Readiness.BLOCKED, on="tester"))
    world.say("tester", Signal(Readiness.BLOCKED, on="coder"))
    world.end("coder")

    world.end("tester")

    assert [row.question for row in world.decisions()] == [
        "Nobody can go on: coder is BLOCKED on tester; tester is BLOCKED on coder. What now?"
    ]
    assert world.phase_run().status is PhaseStatus.AWAITING_HUMAN
    assert world.pipeline().status is PipelineStatus.AWAITING_HUMAN


def test_a_failed_agent_becomes_a_question_while_the_others_go_on(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")

    world.end("coder", Exit(exit_code=3))

    assert [row.options for row in world.decisions()] == [
        ["Retry (respawn agent)", "Abort phase", "Continue without"]
    ]
    assert world.roles_live() == {"tester"}
    assert world.phase_run().status is PhaseStatus.RUNNING


def test_a_vanished_agent_is_run_again_without_a_question(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    lost = world.live("coder")

    world.end("coder", Exit())
    assert world.roles_live() == set()
    world.wait_out()

    assert world.run(lost.id).status is RunStatus.LOST
    assert world.live("coder").causes == ["first::0:0", "retry::1:0"]
    assert world.decisions() == []


def test_a_version_that_comes_while_the_one_before_is_merged_waits_for_it(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.ready("coder")

    world.ready("coder")

    assert [row.merge_status for row in world.versions()] == [MergeStatus.MERGING, MergeStatus.PENDING]
    world.merge("coder", 1)
    assert [row.merge_status for row in world.versions()] == [MergeStatus.MERGED, MergeStatus.MERGING]


def test_a_merge_that_can_never_be_made_fails_the_pipeline_and_says_why(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")

    for _ in range(2):
        with world.work() as session:
            key = VersionKey(world.phase_run().id, "coder", 1)
            merges.refused(session, version=key, why="there is no repository", now=world.now)
            world.finish(session)

    assert world.pipeline().status is PipelineStatus.FAILED
    assert world.pipeline().why == "coder's version 1 cannot be merged: there is no repository"
    assert world.runs()[0].status is RunStatus.CANCELLED


def test_a_merge_that_git_never_comes_to_the_end_of_is_tried_a_few_times_and_then_refused(
    world: World,
) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.ready("coder")
    key, waits = VersionKey(world.phase_run().id, "coder", 1), []

    while world.pipeline().status is PipelineStatus.RUNNING:
        with world.work() as session:
            merges.failed(session, version=key, why="git took too long", now=world.now)
            world.finish(session)
        waits.append(((world.versions()[0].send_after or world.now) - world.now).seconds)

    assert waits[: merges.BOUND.most - 1] == [15, 30, 60, 120, 120, 120, 120]
    assert world.pipeline().why == (
        "coder's version 1 cannot be merged: it was tried 8 times: git took too long"
    )


def test_a_red_check_is_its_owners_to_mend(world: World) -> None:
    world.begin(definition(CODER, check={"run": "make test"}))
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.start(None)

    world.end(None, Exit(exit_code=1))

    assert [row.status for row in world.checks()] == [CheckStatus.RED]
    brief = world.start("coder")
    assert brief is not None
    assert brief.check_log == "the log"


def test_a_conflict_is_its_roles_to_resolve(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")
    world.ready("coder")
    world.end("coder")
    world.ready("tester")
    world.end("tester")
    world.merge("coder", 1)
    world.merge("tester", 1, conflict=("README.md",))

    brief = world.start("tester")

    assert brief is not None
    assert brief.conflicts == ("README.md",)


def test_a_conflict_that_is_gone_without_a_change_is_a_version_and_answers_no_objection(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    world.start("tester")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.say("tester", Signal(Readiness.OBJECTING, about="coder", reason="wrong"), coder=1)
    world.start("coder")

    with pytest.raises(Conflict, match="objection 1 stands against you"):
        world.ready("coder", is_new=False, is_mended=True)
    world.say("coder", Signal(Readiness.READY, answers={1: "it is right"}), is_new=False, is_mended=True)

    assert world.role("coder").version == 2


def test_commits_a_run_left_elsewhere_are_in_its_roles_next_prompt(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    strays = ("branch topic is kept on egg/p/salvage/1-topic-c0ffee",)

    world.end("coder", salvaged=Salvaged("c0ffee", is_ahead=False, strays=strays))
    world.wait_out()
    brief = world.start("coder")

    assert brief is not None
    assert [message.body for message in brief.messages] == [
        f"coder (run 1) left commits out of its work: {strays[0]}"
    ]


def test_unpublished_work_after_ready_owes_another_verdict(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.ready("coder")
    world.merge("coder", 1)

    world.end("coder", salvaged=Salvaged("later-work", is_ahead=True))
    world.wait_out()

    assert "recovery::1:0" in world.live("coder").causes


def test_what_was_set_aside_or_kept_is_owed_and_named_to_the_next_run(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.pass_time(1)
    left = Salvaged("head", is_ahead=False, set_aside="egg/p/salvage/x", kept=["data.bin", "secret"])
    world.end("coder", salvaged=left)
    world.wait_out()

    brief = world.start("coder")

    with world.work() as session:
        told = pipeline_status.why(session, pipeline_id=world.pipeline().id, now=world.now).leftovers
    assert told[0] == "coder (run 1): what READY was refused for is set aside on egg/p/salvage/x"
    assert "not saved, kept in runs/" in told[1]
    assert told[1].endswith(": data.bin, secret")
    assert brief is not None
    aside, kept = context(brief).notes
    assert "git checkout origin/egg/p/salvage/x -- PATH" in aside
    assert "data.bin, secret; it is in ../../" in kept


def test_a_waking_message_starts_a_role_once(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")
    world.ready("coder")
    world.end("coder")
    world.send("tester", "coder", MessageType.QUESTION)
    world.evaluate()
    brief = world.start("coder")
    world.end("coder")

    world.evaluate()

    assert brief is not None
    assert [message.id for message in brief.messages] == [1]
    assert world.roles_live() == {"tester"}


def test_a_message_sent_twice_with_one_key_is_one_message(world: World) -> None:
    world.begin(definition(CODER))

    ids = [world.send("coder", "all", MessageType.PROGRESS, key="k") for _ in range(2)]

    assert ids == [1, 1]


def test_a_late_write_of_a_cancelled_run_is_refused(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.do(pipelines.cancel)

    with pytest.raises(Conflict, match="over"):
        world.ready("coder")

    assert world.pipeline().status is PipelineStatus.CANCELLED
    assert world.versions() == []


def test_two_agents_that_fail_within_a_minute_stop_the_phase(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}, {"role": "reviewer"}))
    for role in ("coder", "tester", "reviewer"):
        world.start(role)
    world.end("coder", Exit(exit_code=1))

    world.end("tester", Exit(exit_code=1))

    assert [(row.status, row.options) for row in world.decisions()] == [
        (DecisionStatus.CANCELLED, ["Retry (respawn agent)", "Abort phase", "Continue without"]),
        (DecisionStatus.PENDING, ["Retry phase", "Cancel pipeline"]),
    ]
    assert world.live("reviewer").stop_at == world.now


def test_two_agents_that_fail_more_than_a_minute_apart_are_asked_about_one_by_one(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")
    world.end("coder", Exit(exit_code=1, ended_at=world.now))
    world.pass_time(61)

    world.end("tester", Exit(exit_code=1, ended_at=world.now))

    assert [row.kind for row in world.decisions()] == [DecisionKind.FAILURE, DecisionKind.FAILURE]


def test_a_retried_phase_is_a_new_phase_run_on_the_roles_own_branches(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")
    world.end("coder", Exit(exit_code=1))
    world.end("tester", Exit(exit_code=1))

    world.answer("retry")

    assert (world.phase_run().iteration, world.phase_run().status) == (2, PhaseStatus.RUNNING)
    assert world.roles_live() == {"coder", "tester"}


def test_cancelling_after_failures_ends_the_pipeline(world: World) -> None:
    world.begin(definition(CODER, {"role": "tester"}))
    world.start("coder")
    world.start("tester")
    world.end("coder", Exit(exit_code=1))
    world.end("tester", Exit(exit_code=1))

    world.answer("cancel")

    assert world.pipeline().status is PipelineStatus.CANCELLED


def test_a_paused_pipeline_starts_nobody_until_it_goes_on(world: World) -> None:
    world.begin(definition(CODER, check={"run": "true"}))
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.do(pipelines.pause)

    world.merge("coder", 1)

    assert world.roles_live() == set()
    world.do(pipelines.resume)
    assert world.roles_live() == {None}


def test_a_check_that_has_itself_stopped_is_not_run_for_ever(world: World) -> None:
    """What it runs is the agents': it may send its supervisor the signal that a stop of ours is."""
    world.begin(definition(CODER, check={"run": "kill -TERM $PPID; sleep 9"}))
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)

    for _ in range(10):
        if world.roles_live() != {None}:
            break
        world.start(None)
        world.end(None, Exit(stopped=True, signal=15))
        world.pass_time(60)
        world.evaluate()

    assert [decision.status for decision in world.decisions()] == [DecisionStatus.PENDING]
    assert len([run for run in world.runs() if run.role is None]) < 10


def test_a_restarted_phase_waits_for_its_roles_old_runs_to_be_safe(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.do(partial(operator_actions.restart_phase, phase="build"))

    assert [run.status for run in world.runs()] == [RunStatus.CANCELLED]
    world.end("coder", Exit(stopped=True, signal=15))
    assert [run.status for run in world.runs()] == [RunStatus.CANCELLED, RunStatus.QUEUED]
