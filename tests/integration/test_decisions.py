"""Questions, gates, defaults and orders: what a person decides, and what follows from it in the rows."""

from datetime import timedelta
from functools import partial

import pytest

from egg_tasks.outbox import Evaluation
from egg_tasks.services.agents import briefs
from egg_tasks.services.engine import evaluation
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import decisions, operator_actions, pipelines, questions
from egg_tasks.services.people.questions import Question
from models.consensus.step import ABORT, DecisionKind
from models.errors import Conflict, Unprocessable
from models.queries import decisions as rows
from models.queries import messages
from models.schemas.run import Exit
from models.states import DecisionStatus, PhaseStatus, PipelineStatus, Readiness, StopReason
from models.tables import Decision, Message
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester"}
GATE = {"question": "Ship it?", "options": ["approve", "request changes"]}


def ask(world: World, text: str = "Which?", *options: str, role: str = "coder", **more: object) -> Decision:
    """Have a role's live run ask a person."""
    question = Question(text, options, **more)  # type: ignore[arg-type]
    run = world.live(role)
    with world.work() as session:
        asked = questions.ask(session, run_id=run.id, question=question, now=world.now)
        world.finish(session)
    return asked


def answer(world: World, decision: Decision, words: str) -> None:
    """Have a person answer, and evaluate as the wake-up does that is sent with it."""
    with world.work() as session:
        decisions.resolve(session, decision_id=decision.id, resolution=words, now=world.now)
        world.finish(session)
    for parcel in world.sent:
        if isinstance(parcel, Evaluation):
            with world.work() as session:
                evaluation.evaluate(session, phase_run_id=parcel.phase_run_id, now=world.now)
                world.finish(session)


def default(world: World) -> int:
    """Give the overdue their default, as the reconciler does; how many there were."""
    with world.work() as session:
        due = rows.list_overdue_decisions(session, now=world.now, limit=10)
    for row in due:
        with world.work() as session:
            decisions.default(session, decision_id=row.id, now=world.now)
            world.finish(session)
    return len(due)


def directives(world: World) -> list[Message]:
    """What was told to agents in a person's name."""
    with world.work() as session:
        found = messages.list_messages(
            session, pipeline_id="p", role="coder", after=0, limit=100, most_bytes=2**20
        )
    return [message for message in found.messages if message.from_role == "human"]


def agree(world: World) -> None:
    """Bring the one role of a phase to consensus and its run to its end."""
    world.start("coder")
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")


def test_an_agents_question_is_written_down_and_holds_nobody(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")

    decision = ask(world, "Which?", "one", "two")

    assert (decision.kind, decision.asked_by, decision.roles) == (DecisionKind.QUESTION, "coder", [])
    assert (decision.default, decision.notify_after) == ("one", world.now)
    assert world.phase_run().status is PhaseStatus.RUNNING


def test_the_same_question_while_it_waits_is_the_same_decision(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    world.start("coder")
    world.start("tester")

    asked = [ask(world).id, ask(world).id, ask(world, role="tester").id]

    assert asked == [1, 1, 2]


def test_a_question_answered_may_be_asked_again_unless_it_is_a_retry(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    first = ask(world, client_key="k")
    answer(world, first, "yes")

    assert ask(world, client_key="k").id == first.id
    assert ask(world).id > first.id


def test_nobody_asks_without_end(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    for number in range(questions.MAX_PENDING):
        ask(world, f"question {number}")

    with pytest.raises(Conflict, match="wait for an answer"):
        ask(world, "one too many")


def test_an_answer_wakes_the_role_that_asked_and_no_other(world: World) -> None:
    world.begin(definition(CODER, TESTER))
    for role in ("coder", "tester"):
        world.start(role)
        if role == "coder":
            ask(world, "Which?", "one", "two")
        world.say(role, Signal(Readiness.BLOCKED))
        world.end(role)
    asked = world.decisions()[0]
    status = world.pipeline().status

    answer(world, asked, "two")

    assert status is PipelineStatus.AWAITING_HUMAN
    assert world.roles_live() == {"coder"}
    assert [(m.to_role, m.body, m.metadata_) for m in directives(world)] == [
        ("coder", "two", {"decision": asked.id})
    ]
    assert world.pipeline().status is PipelineStatus.RUNNING


def test_a_free_answer_keeps_its_words_and_a_prefix_picks_the_option(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    free, fixed = ask(world, "A?", "yes", "no"), ask(world, "B?", "yes", "no", is_free=False)

    answer(world, free, "Neither; see f()")
    answer(world, fixed, "N")

    assert [row.resolution for row in world.decisions()] == ["Neither; see f()", "no"]


@pytest.mark.parametrize(
    ("is_free", "words"), [(True, "  "), (True, "x" * 4001), (False, "maybe"), (False, "")]
)
def test_an_answer_that_is_none_is_refused(world: World, is_free: bool, words: str) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    decision = ask(world, "A?", "yes", "no", is_free=is_free)

    with pytest.raises(Unprocessable):
        answer(world, decision, words)


def test_an_agents_option_that_reads_like_an_order_is_none(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    decision = ask(world, "What now?", ABORT)

    answer(world, decision, ABORT)

    assert world.phase_run().status is PhaseStatus.RUNNING


def test_every_later_brief_carries_the_answers(world: World) -> None:
    document = definition(CODER)
    document["phases"] = [{"name": name, "roles": [CODER]} for name in ("one", "two")]
    world.begin(document)
    world.start("coder")
    decision = ask(world)
    answer(world, decision, "the second")
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")

    run = world.live("coder")
    with world.work() as session:
        brief = briefs.write(session, run=run)

    assert brief.phase == "two"
    assert [(each.number, each.question, each.answer) for each in brief.directives] == [
        (decision.id, "Which?", "the second")
    ]


def test_closing_withdraws_what_was_asked_and_takes_no_more(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    ask(world)
    world.ready("coder")
    world.merge("coder", 1)

    assert world.decisions()[0].status is DecisionStatus.CANCELLED
    assert world.decisions()[0].notify_after is None
    with pytest.raises(Conflict, match="closing"):
        ask(world, "Another?")


def test_a_run_that_is_over_asks_nothing(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    run = world.live("coder")
    world.do(pipelines.cancel)

    with world.work() as session, pytest.raises(Conflict, match="over"):
        questions.ask(session, run_id=run.id, question=Question("Which?"), now=world.now)


def test_an_operators_question_is_answered_to_all(world: World) -> None:
    world.begin(definition(CODER))
    with world.work() as session:
        asked = questions.create(session, pipeline_id="p", question=Question("Name?"), now=world.now)
        world.finish(session)

    answer(world, asked, "egg")

    assert asked.asked_by == "human"
    assert [(message.to_role, message.body) for message in directives(world)] == [("all", "egg")]


def test_a_pipeline_that_is_over_is_asked_nothing(world: World) -> None:
    world.begin(definition(CODER))
    world.do(pipelines.cancel)

    with world.work() as session, pytest.raises(Conflict, match="cancelled"):
        questions.create(session, pipeline_id="p", question=Question("Name?"), now=world.now)


def test_the_default_is_taken_once_its_time_has_come_and_only_once(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    decision = ask(world, "Which?", "one", "two", after=timedelta(seconds=5))

    early = default(world)
    world.pass_time(5)
    in_time = default(world)
    with world.work() as session:
        decisions.default(session, decision_id=decision.id, now=world.now)
        world.finish(session)

    row = world.decisions()[0]
    assert (early, in_time) == (0, 1)
    assert (row.status, row.resolution, row.resolved_at) == (DecisionStatus.DEFAULTED, "one", world.now)
    assert [message.body for message in directives(world)] == ["one"]


def test_a_default_after_an_answer_changes_nothing(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    decision = ask(world, "Which?", "one", "two", after=timedelta(seconds=5))
    answer(world, decision, "two")
    world.pass_time(9)

    with world.work() as session:
        decisions.default(session, decision_id=decision.id, now=world.now)
        world.finish(session)

    assert world.decisions()[0].resolution == "two"


def test_the_questions_of_a_paused_pipeline_wait(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    decision = ask(world, "Which?", "one", after=timedelta(seconds=5))
    world.do(pipelines.pause)
    world.pass_time(9)

    found = default(world)
    with world.work() as session:
        decisions.default(session, decision_id=decision.id, now=world.now)
        world.finish(session)

    assert found == 0
    assert world.decisions()[0].status is DecisionStatus.PENDING


def test_a_gate_is_asked_when_a_phase_is_quiet_and_its_answer_lets_it_go(world: World) -> None:
    world.begin(definition(CODER, gate=GATE))
    agree(world)
    asked = world.decisions()[0]
    waiting = (world.phase_run().status, world.pipeline().status)

    answer(world, asked, "approve")

    assert (asked.kind, asked.is_free, asked.deadline) == (DecisionKind.GATE, True, None)
    assert waiting == (PhaseStatus.CLOSING, PipelineStatus.AWAITING_HUMAN)
    assert world.phase_run().status is PhaseStatus.COMPLETE
    assert world.pipeline().status is PipelineStatus.COMPLETE


def test_a_gate_that_nobody_answers_takes_its_default(world: World) -> None:
    world.begin(definition(CODER, gate={**GATE, "after_minutes": 0.5}))
    agree(world)
    world.pass_time(30)

    default(world)

    assert world.decisions()[0].status is DecisionStatus.DEFAULTED
    assert world.pipeline().status is PipelineStatus.COMPLETE


def test_changes_asked_for_at_a_gate_begin_the_phase_anew_with_the_words(world: World) -> None:
    world.begin(definition(CODER, gate=GATE))
    agree(world)

    answer(world, world.decisions()[0], "Rename f to g")

    brief = world.start("coder")
    assert brief is not None
    assert [each.answer for each in brief.directives] == ["Rename f to g"]
    assert (world.phase_run().iteration, world.phase_run().iterations_used) == (2, 1)
    assert world.phase_run().status is PhaseStatus.RUNNING
    assert world.pipeline().status is PipelineStatus.RUNNING


def test_the_gate_of_a_phase_begun_anew_is_asked_again(world: World) -> None:
    world.begin(definition(CODER, gate=GATE))
    agree(world)
    answer(world, world.decisions()[0], "request changes")

    agree(world)

    assert [row.status for row in world.decisions()] == [DecisionStatus.RESOLVED, DecisionStatus.PENDING]


def test_a_pipeline_is_cancelled_while_its_gate_waits(world: World) -> None:
    world.begin(definition(CODER, gate=GATE))
    agree(world)

    world.do(pipelines.cancel)

    assert world.decisions()[0].status is DecisionStatus.CANCELLED
    assert world.pipeline().status is PipelineStatus.CANCELLED


def test_a_paused_gate_waits_for_a_person_again_once_it_is_resumed(world: World) -> None:
    world.begin(definition(CODER, gate=GATE))
    agree(world)
    world.do(pipelines.pause)

    world.do(pipelines.resume)

    assert world.pipeline().status is PipelineStatus.AWAITING_HUMAN


def test_a_phase_that_fails_has_no_gate(world: World) -> None:
    world.begin(definition({**CODER, "on_failure": "abort"}, gate=GATE))
    world.start("coder")

    world.end("coder", Exit(exit_code=3))

    assert world.decisions() == []
    assert world.pipeline().status is PipelineStatus.FAILED


def test_a_person_advances_a_phase_unasked(world: World) -> None:
    world.begin(definition(CODER))
    world.start("coder")

    world.do(partial(operator_actions.advance_phase, phase="build"))

    order = world.decisions()[0]
    assert (order.kind, order.status, order.notify_after) == (
        DecisionKind.ORDER,
        DecisionStatus.RESOLVED,
        None,
    )
    assert world.phase_run().status is PhaseStatus.CLOSING
    assert world.phase_run().stop_reason is StopReason.ACCEPTED


@pytest.mark.parametrize(("phase", "why"), [("build", "closing already"), ("other", "not in phase other")])
def test_a_phase_that_closes_or_is_another_is_not_advanced(world: World, phase: str, why: str) -> None:
    world.begin(definition(CODER))
    world.start("coder")
    world.do(partial(operator_actions.advance_phase, phase="build"))

    with pytest.raises(Conflict, match=why):
        world.do(partial(operator_actions.advance_phase, phase=phase))
