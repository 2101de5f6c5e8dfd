"""A phase run whose time passes, in a real database."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from egg_tasks.prompts.prompt import signal
from egg_tasks.services.agents import agent_signals
from egg_tasks.services.engine import deadlines
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import operator_actions, pipelines
from models.consensus.step import DecisionKind
from models.queries import agent_runs as run_rows
from models.schemas.definition import validate
from models.schemas.message import MessageType
from models.schemas.run import Exit
from models.states import (
    DecisionStatus,
    Failure,
    PhaseStatus,
    PipelineStatus,
    Readiness,
    RunStatus,
    StopReason,
)
from models.tables import Event, Message
from tests.integration.world import START, World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester", "reviews": ["coder"]}
STOPPED = Exit(stopped=True, signal=15)
MINUTE = timedelta(minutes=1)
SOFT, FINALIZE, IDLE = 1800, 180, 3600


def begin(world: World, *roles: dict[str, object], **config: float) -> None:
    """Begin a phase of these roles and start them."""
    roles = roles or (CODER,)
    world.begin({**definition(*roles), "config": config})
    for role in roles:
        world.start(str(role["role"]))


def converge(world: World, *roles: dict[str, object]) -> None:
    """Begin, and let the soft deadline pass."""
    begin(world, *roles)
    world.pass_time(SOFT)
    world.evaluate()


def expire(world: World, *roles: dict[str, object]) -> None:
    """Begin, and let both deadlines pass."""
    converge(world, *roles)
    world.pass_time(FINALIZE)
    world.evaluate()


def messages(world: World, kind: MessageType) -> list[tuple[str, str]]:
    """What the system said of one kind: to whom, and what."""
    with world.work() as session:
        found = session.scalars(select(Message).where(Message.message_type == kind).order_by(Message.id))
        return [(message.to_role, message.subject) for message in found]


def events(world: World, kind: str) -> list[str]:
    """What happened of one kind."""
    with world.work() as session:
        return [event.text for event in session.scalars(select(Event).where(Event.type == kind))]


def words(world: World, role: str) -> str | None:
    """What the role's agent is told by a signal."""
    with world.work() as session:
        run = run_rows.get_agent_run(session, run_id=world.live(role).id)
        found = deadlines.summons(session, run)
    return signal(found) if found else None


def test_the_time_of_a_phase_begins_when_its_repository_is_there(world: World) -> None:
    with world.work() as session:
        pipelines.create(session, definition=validate(definition(CODER)), now=world.now)
        pipelines.start(session, pipeline_id="p", now=world.now)
        world.finish(session)
    before = world.phase_run().soft_deadline_at
    world.pass_time(60)
    with world.work() as session:
        pipelines.prepared(session, pipeline_id="p", base_commit="base", now=world.now)
        world.finish(session)

    assert before == START + 30 * MINUTE
    assert world.phase_run().soft_deadline_at == START + 31 * MINUTE
    assert world.phase_run().next_evaluation_at == START + 31 * MINUTE


def test_at_the_soft_deadline_everybody_is_asked_to_converge_once(world: World) -> None:
    converge(world)
    world.evaluate()

    text = (
        "The phase takes too long. Write down how far you are, commit, and give your verdict"
        " by 2026-01-01T00:33:00+00:00"
    )
    assert messages(world, MessageType.CONVERGE) == [("all", text)]
    assert events(world, "convergence.requested") == [
        "build is asked to converge by 2026-01-01T00:33:00+00:00"
    ]
    assert world.live("coder").converge_at == world.now
    assert words(world, "coder") == (
        "CONVERGE\n2026-01-01T00:33:00+00:00\n"
        "The phase takes too long. Write down how far you are, commit, and give your verdict.\n"
    )
    assert world.phase_run().why == "coder is WORKING; the phase converges until 00:33:00 UTC"
    assert world.phase_run().next_evaluation_at == START + 33 * MINUTE


def test_before_the_soft_deadline_nobody_is_told_anything(world: World) -> None:
    begin(world)
    world.pass_time(SOFT - 1)
    world.evaluate()

    assert words(world, "coder") is None
    assert messages(world, MessageType.CONVERGE) == []


def test_work_that_comes_while_a_phase_converges_gives_it_more_time_up_to_a_bound(world: World) -> None:
    converge(world, CODER, TESTER)
    world.pass_time(100)
    world.ready("tester")
    once = world.phase_run().hard_deadline_at
    world.pass_time(170)
    world.say("tester", Signal(Readiness.BLOCKED))

    assert once == START + 30 * MINUTE + timedelta(seconds=280)
    assert world.phase_run().hard_deadline_at == START + 36 * MINUTE


def test_a_stale_ready_is_enough_while_a_phase_converges(world: World) -> None:
    begin(world, CODER, TESTER)
    world.ready("tester")
    world.merge("tester", 1)
    world.pass_time(SOFT)
    world.evaluate()

    world.ready("coder")
    world.merge("coder", 1)

    assert world.phase_run().status is PhaseStatus.CLOSING
    assert world.phase_run().stop_reason is StopReason.CONVERGED


def test_one_dispatched_while_a_phase_converges_is_told_so(world: World) -> None:
    converge(world)
    world.end("coder")
    world.wait_out()

    brief = world.start("coder")

    assert brief is not None
    assert brief.converge_at == START + 30 * MINUTE
    assert brief.hard_deadline_at == START + 33 * MINUTE


def test_at_the_hard_deadline_agents_are_stopped_and_a_person_is_asked(world: World) -> None:
    expire(world)

    (question,) = world.decisions()
    assert (question.kind, question.key, question.roles) == (DecisionKind.DEADLINE, "deadline:1", [])
    assert question.options == ["Continue waiting", "Accept current state", "Abort phase"]
    assert question.default == "Abort phase"
    assert [to for to, _ in messages(world, MessageType.FINALIZE)] == ["all"]
    assert world.live("coder").stop_at == world.now + timedelta(seconds=30)
    assert (words(world, "coder") or "").startswith("FINALIZE\n2026-01-01T00:33:30+00:00\n")
    assert world.phase_run().status is PhaseStatus.RUNNING


def test_one_that_has_not_started_is_stopped_at_once(world: World) -> None:
    world.begin(definition(CODER))
    world.pass_time(SOFT)
    world.evaluate()
    world.pass_time(FINALIZE)

    world.evaluate()

    assert world.live("coder").stop_at == world.now


def test_one_that_was_stopped_by_the_deadline_has_not_failed_and_a_person_is_waited_for(
    world: World,
) -> None:
    expire(world)
    world.pass_time(30)

    world.end("coder", STOPPED)

    (run,) = world.runs()
    assert (run.status, run.failure, run.is_cut_short) == (RunStatus.SUCCEEDED, None, True)
    assert world.phase_run().status is PhaseStatus.AWAITING_HUMAN
    assert world.phase_run().clock_stopped_at == world.now
    assert messages(world, MessageType.AGENT_FAILED) == []


def test_one_that_ends_by_itself_in_its_last_grace_was_not_stopped(world: World) -> None:
    expire(world)

    world.end("coder", Exit(exit_code=0))

    (run,) = world.runs()
    assert (run.status, run.is_cut_short) == (RunStatus.SUCCEEDED, False)


def test_consensus_in_the_last_grace_closes_and_withdraws_the_question(world: World) -> None:
    expire(world)
    world.ready("coder")
    assert world.live("coder").stop_at == world.now + timedelta(seconds=30)

    world.merge("coder", 1)

    assert world.phase_run().stop_reason is StopReason.CONSENSUS
    assert world.decisions()[0].status is DecisionStatus.CANCELLED


def test_no_word_of_its_own_keeps_an_agent_from_being_stopped(world: World) -> None:
    expire(world)
    stop_at = world.live("coder").stop_at

    world.say("coder", Signal(Readiness.WORKING))

    assert world.live("coder").stop_at == stop_at


def test_accepting_the_state_ends_the_phase(world: World) -> None:
    expire(world)
    world.end("coder", STOPPED)

    world.answer("Accept current state")

    assert world.phase_run().status is PhaseStatus.COMPLETE
    assert world.phase_run().stop_reason is StopReason.ACCEPTED


def test_to_continue_waiting_gives_a_whole_new_period_and_a_recovery(world: World) -> None:
    expire(world)
    world.end("coder", STOPPED)
    world.pass_time(3600)

    world.answer("Continue waiting")

    phase_run = world.phase_run()
    assert phase_run.soft_deadline_at == world.now + 30 * MINUTE
    assert (phase_run.converge_at, phase_run.hard_deadline_at, phase_run.clock_stopped_at) == (None,) * 3
    assert world.live("coder").causes == ["first::0:0", "recovery::1:0"]
    world.start("coder")
    world.pass_time(SOFT)
    world.evaluate()
    world.pass_time(FINALIZE)
    world.evaluate()
    assert [question.key for question in world.decisions()] == ["deadline:1", "deadline:2"]


def test_to_continue_waiting_lets_an_agent_go_on_that_is_not_yet_stopped(world: World) -> None:
    expire(world)

    world.answer("Continue waiting")

    run = world.live("coder")
    assert (run.stop_at, run.is_cut_short, run.converge_at) == (None, False, None)
    assert words(world, "coder") is None


def test_a_message_that_a_run_cut_short_was_given_is_given_to_the_next(world: World) -> None:
    begin(world, CODER, TESTER)
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")
    world.send("tester", "coder", MessageType.QUESTION)
    world.evaluate()
    world.start("coder")
    world.pass_time(SOFT)
    world.evaluate()
    world.pass_time(FINALIZE)
    world.evaluate()
    world.end("coder", STOPPED)
    world.end("tester", STOPPED)

    world.answer("Continue waiting")

    brief = world.start("coder")
    assert brief is not None
    assert "words" in [message.body for message in brief.messages]


def test_the_clock_stands_still_while_only_a_person_is_waited_for(world: World) -> None:
    begin(world)
    world.end("coder", Exit(exit_code=3))
    asked_at = world.now
    world.pass_time(7200)
    world.evaluate()
    stopped = world.phase_run()

    world.answer("Retry (respawn agent)")

    assert (stopped.clock_stopped_at, stopped.next_evaluation_at) == (asked_at, None)
    assert world.phase_run().clock_stopped_at is None
    assert world.phase_run().soft_deadline_at == asked_at + timedelta(seconds=7200 + SOFT)
    assert messages(world, MessageType.CONVERGE) == []


def test_the_clock_stands_still_while_a_pipeline_is_paused(world: World) -> None:
    converge(world)
    world.pass_time(60)
    world.do(pipelines.pause)
    world.do(pipelines.pause)
    world.pass_time(7200)
    world.ready("coder")

    world.do(pipelines.resume)

    assert world.phase_run().hard_deadline_at == START + 34 * MINUTE + timedelta(seconds=7200)
    assert world.phase_run().soft_deadline_at == START + 30 * MINUTE + timedelta(seconds=7200)


def test_a_phase_begun_while_its_pipeline_is_paused_has_its_whole_time(world: World) -> None:
    begin(world)
    world.do(pipelines.pause)
    with world.work() as session:
        operator_actions.restart_phase(session, pipeline_id="p", phase="build", now=world.now)
        world.finish(session)
    world.pass_time(7200)

    world.do(pipelines.resume)

    assert world.phase_run().soft_deadline_at == world.now + 30 * MINUTE


def test_a_paused_phase_that_waits_for_a_person_goes_on_when_both_are_over(world: World) -> None:
    expire(world)
    world.end("coder", STOPPED)
    world.pass_time(100)
    world.do(pipelines.pause)
    world.answer("Continue waiting")
    world.pass_time(100)

    world.do(pipelines.resume)

    assert world.phase_run().soft_deadline_at == world.now + 30 * MINUTE
    assert world.pipeline().status is PipelineStatus.RUNNING


def idle(world: World, **config: float) -> None:
    """Begin, and let the agent do nothing until it is asked why."""
    begin(world, consensus_timeout_minutes=600, **config)
    world.pass_time(IDLE)
    world.evaluate()


def test_an_agent_that_may_be_idle_is_looked_at_then(world: World) -> None:
    begin(world, consensus_timeout_minutes=600)

    assert world.phase_run().next_evaluation_at == world.now + 60 * MINUTE


def test_an_idle_agent_alone_is_asked_to_converge(world: World) -> None:
    idle(world)

    ((to, text),) = messages(world, MessageType.CONVERGE)
    assert to == "coder"
    assert text.startswith("You have not been active for long")
    assert world.live("coder").converge_at == world.now
    assert "You have not been active for long" in (words(world, "coder") or "")
    assert world.phase_run().converge_at is None
    assert world.phase_run().next_evaluation_at == world.now + 3 * MINUTE


def test_an_idle_agent_that_stays_idle_is_stopped_and_has_failed(world: World) -> None:
    idle(world)
    world.pass_time(FINALIZE)
    world.evaluate()
    assert world.live("coder").stop_at == world.now

    world.end("coder", STOPPED)

    (run,) = world.runs()
    assert (run.status, run.failure) == (RunStatus.TIMED_OUT, Failure.TIMEOUT)
    assert events(world, "agent.timeout") == [
        "coder (run 1) failed: it was not active for too long and was stopped. It wrote last: the log"
    ]
    assert world.decisions()[-1].question.startswith("coder was not active for too long")
    assert len(messages(world, MessageType.AGENT_FAILED)) == 1


def test_the_policy_of_a_role_says_what_follows_when_it_is_idle(world: World) -> None:
    begin(world, {**CODER, "on_failure": "abort"}, consensus_timeout_minutes=600)
    for seconds in (IDLE, FINALIZE):
        world.pass_time(seconds)
        world.evaluate()

    world.end("coder", STOPPED)

    assert world.phase_run().status is PhaseStatus.FAILED


@pytest.mark.parametrize("how", ["message", "word", "output"])
def test_an_agent_that_does_something_again_is_not_stopped(world: World, how: str) -> None:
    idle(world)
    world.pass_time(60)
    if how == "message":
        world.send("coder", "all", MessageType.PROGRESS)
    elif how == "word":
        world.say("coder", Signal(Readiness.WORKING))
    else:
        with world.work() as session:
            run_rows.lock_agent_run(session, run_id=world.live("coder").id).last_active_at = world.now
            world.finish(session)
    world.pass_time(FINALIZE)

    world.evaluate()

    assert world.live("coder").stop_at is None
    assert world.phase_run().next_evaluation_at == world.now + 57 * MINUTE


def test_one_that_ends_after_it_has_given_its_verdict_has_not_failed(world: World) -> None:
    idle(world)
    world.pass_time(FINALIZE)
    world.evaluate()
    world.ready("coder")

    world.end("coder", STOPPED)

    (run,) = world.runs()
    assert (run.failure, run.verdict) == (Failure.TIMEOUT, Readiness.READY)
    assert world.decisions() == []


def test_the_orchestrators_clock_and_an_agents_do_not_turn_activity_back(world: World) -> None:
    begin(world)
    later = world.now + MINUTE
    for now in (later, world.now):
        with world.work() as session:
            agent_signals.heartbeat(session, run_id=world.live("coder").id, now=now)
            world.finish(session)

    assert world.live("coder").last_active_at == later
