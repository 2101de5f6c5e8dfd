"""The present base comes into a pipeline that runs: what the rows say, step by step."""

from typing import Any

import pytest
from sqlalchemy import select

from egg_tasks.outbox import RebaseKey
from egg_tasks.prompts.prompt import context
from egg_tasks.services.agents import clone_inspection
from egg_tasks.services.engine import rebases
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import operator_actions, pipelines
from models.consensus.snapshot import BASE
from models.consensus.step import ABORT, KEEP_BASE, RETRY, TAKE_BASE, DecisionKind
from models.errors import Conflict
from models.queries import rebases as rows
from models.queries import versions
from models.schemas.git import Conflicted, Merged
from models.schemas.message import TO_ALL, MessageType
from models.schemas.run import Exit
from models.states import DecisionStatus, PhaseStatus, PipelineStatus, Readiness, RebaseStatus
from models.tables import Event, Message, Rebase
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
NEW = "b" * 40


def begin(world: World, **phase: object) -> None:
    """A coder that works."""
    world.begin(definition(CODER, **phase))
    world.start("coder")


def wish(world: World, commit: str | None = NEW) -> list[int]:
    """Have a person want the present base; the rebases that are sent."""
    with world.work() as session:
        rebases.wish(session, pipeline_id="p", commit=commit, now=world.now)
        world.finish(session)
    return sent(world)


def sent(world: World) -> list[int]:
    """The numbers of the rebases that are sent."""
    return [parcel.number for parcel in world.sent if isinstance(parcel, RebaseKey)]


def last(world: World) -> Rebase:
    """The newest rebase."""
    with world.work() as session:
        row = rows.find_last_rebase(session, pipeline_id="p")
    assert row is not None
    return row


def settle(world: World, result: Merged | Conflicted, *, number: int | None = None) -> None:
    """Play the worker that fetches and merges."""
    number = number or last(world).id
    with world.work() as session:
        made = rebases.order(session, number=number)
    assert made is not None
    world.pass_time(1)
    with world.work() as session:
        rebases.settle(session, number=number, made=made, commit=NEW, result=result, now=world.now)
        world.finish(session)


def bring(world: World) -> None:
    """Bring the base in."""
    wish(world)
    settle(world, Merged(commit="with-base"))


def told(world: World, kind: str) -> list[str]:
    """What was told of a kind."""
    with world.work() as session:
        return list(session.scalars(select(Event.text).where(Event.type == kind).order_by(Event.id)))


def test_a_wish_is_a_row_that_is_sent_to_be_merged(world: World) -> None:
    begin(world)

    found = wish(world)

    assert (found, last(world).status) == ([last(world).id], RebaseStatus.MERGING)
    assert told(world, "branch.rebase_requested") == [
        "a person wants the present base at bbbbbbbbbb in the work branch"
    ]


def test_the_same_wish_again_changes_nothing(world: World) -> None:
    begin(world)
    first = wish(world)

    assert wish(world) == wish(world, None) == []
    assert [last(world).id] == first


def test_another_base_waits_until_the_first_is_merged(world: World) -> None:
    begin(world)
    wish(world)

    with pytest.raises(Conflict, match="try again in a moment"):
        wish(world, "c" * 40)


def test_the_work_branch_has_the_base_and_the_agents_are_told(world: World) -> None:
    begin(world)

    bring(world)

    assert world.pipeline().work_commit == "with-base"
    assert world.pipeline().base_commit == "base"
    assert told(world, "branch.rebased") == ["the present base at bbbbbbbbbb is merged into the work branch"]
    with world.work() as session:
        said = session.scalars(select(Message)).one()
        assert versions.list_work_commits(session, pipeline_id="p") == ["with-base"]
    assert (said.message_type, said.to_role) == (MessageType.DIRECTIVE, TO_ALL)
    assert "egg sync" in said.body


def test_a_base_that_brings_nothing_disturbs_nobody(world: World) -> None:
    begin(world)
    wish(world)

    settle(world, Merged(commit="base"))

    assert last(world).status is RebaseStatus.MERGED
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")
    assert world.phase_run().status is PhaseStatus.COMPLETE


def test_who_was_ready_looks_again_and_says_so_in_its_prompt(world: World) -> None:
    begin(world)
    wish(world)
    world.ready("coder")
    world.end("coder")

    settle(world, Merged(commit="with-base"))
    world.merge("coder", 1)

    assert world.live("coder").causes == [f"rebased::{last(world).id}:0"]
    brief = world.start("coder")
    assert brief is not None
    assert "brought the present base" in context(brief).causes[0].text
    has_base: dict[str, Any] = {BASE: last(world).id}
    world.ready("coder", is_new=False, **has_base)
    assert world.phase_run().status is PhaseStatus.CLOSING


def test_who_is_ready_without_the_base_is_run_again(world: World) -> None:
    begin(world)
    bring(world)

    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")

    assert world.live("coder").number == 2


def test_a_merge_that_was_overtaken_is_made_anew(world: World) -> None:
    begin(world)
    wish(world)
    number = last(world).id
    with world.work() as session:
        made = rebases.order(session, number=number)
        assert made is not None
        pipeline = world.pipeline()
        pipeline.work_commit = "elsewhere"
        session.merge(pipeline)
        world.finish(session)

    with world.work() as session:
        rebases.settle(
            session, number=number, made=made, commit=NEW, result=Merged(commit="x"), now=world.now
        )
        world.finish(session)

    assert (last(world).status, last(world).send_after) == (RebaseStatus.MERGING, world.now)
    assert world.pipeline().work_commit == "elsewhere"


def test_a_conflict_is_asked_about_and_holds_no_agent(world: World) -> None:
    begin(world)
    wish(world)

    settle(world, Conflicted(paths=("a.py", "b.py")))

    asked = world.decisions()[-1]
    assert (asked.kind, asked.options) == (DecisionKind.REBASE, [KEEP_BASE, TAKE_BASE, ABORT])
    assert "a.py, b.py" in asked.question
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")
    assert world.pipeline().status is PipelineStatus.AWAITING_HUMAN
    world.answer(KEEP_BASE)
    assert world.pipeline().status is PipelineStatus.COMPLETE
    assert last(world).status is RebaseStatus.CANCELLED


def test_a_base_that_conflicted_is_tried_again_by_an_answer(world: World) -> None:
    begin(world)
    wish(world)
    first = last(world).id
    settle(world, Conflicted(paths=("a.py",)))

    world.answer(TAKE_BASE)

    again = last(world)
    assert (again.status, again.commit) == (RebaseStatus.MERGING, None), "it is fetched anew"
    assert again.id != first


def test_a_base_that_conflicted_is_overtaken_by_a_newer_wish(world: World) -> None:
    begin(world)
    wish(world)
    settle(world, Conflicted(paths=("a.py",)))

    wish(world, "c" * 40)

    assert world.decisions()[-1].status is DecisionStatus.CANCELLED
    assert (last(world).status, last(world).commit) == (RebaseStatus.MERGING, "c" * 40)


def test_a_phase_is_aborted_over_a_conflict_of_the_base(world: World) -> None:
    begin(world)
    wish(world)
    settle(world, Conflicted(paths=("a.py",)))

    world.answer(ABORT)
    world.end("coder")

    assert world.pipeline().status is PipelineStatus.FAILED
    assert last(world).status is RebaseStatus.CANCELLED


def test_a_question_about_the_check_of_the_former_tip_is_withdrawn(world: World) -> None:
    begin(world, check={"run": "make test"})
    world.ready("coder")
    world.merge("coder", 1)
    world.end("coder")
    world.start(None)
    world.end(None, Exit(exit_code=1))
    world.start("coder")
    world.say("coder", Signal(Readiness.READY, reason="it is the base"), is_new=False)
    world.end("coder")
    world.start(None)
    world.end(None, Exit(exit_code=1))
    assert world.decisions()[-1].kind is DecisionKind.CHECK

    bring(world)

    assert world.decisions()[-1].status is DecisionStatus.CANCELLED
    assert "coder" in world.roles_live(), "who was READY looks again"


def test_what_cannot_be_fetched_now_is_tried_again_and_given_up(world: World) -> None:
    begin(world)
    wish(world, None)
    number = last(world).id

    for _ in range(rebases.BOUND.most):
        assert last(world).status is RebaseStatus.MERGING
        with world.work() as session:
            rebases.failed(session, number=number, why="away", is_final=False, now=world.now)
            world.finish(session)

    assert (last(world).status, last(world).why) == (RebaseStatus.FAILED, "away")
    assert told(world, "branch.rebase_failed") == [
        "the present base is not merged, and the work goes on without: away"
    ]
    assert world.pipeline().status is PipelineStatus.RUNNING


def test_what_can_never_be_fetched_is_given_up_at_once(world: World) -> None:
    begin(world)
    wish(world, None)

    with world.work() as session:
        rebases.failed(session, number=last(world).id, why="no such branch", is_final=True, now=world.now)
        world.finish(session)

    assert last(world).status is RebaseStatus.FAILED


def test_a_base_that_a_phase_could_not_merge_comes_into_the_next_one(world: World) -> None:
    document = definition(CODER)
    phases = document["phases"]
    assert isinstance(phases, list)
    world.begin({**document, "phases": [*phases, {**phases[0], "name": "again"}]})
    world.start("coder")
    wish(world)

    with world.work() as session:
        operator_actions.advance_phase(session, pipeline_id="p", phase="build", now=world.now)
        world.finish(session)
    assert last(world).status is RebaseStatus.PENDING, "a phase that closes merges nothing"
    world.end("coder")

    assert (world.phase_run().phase, last(world).status) == ("again", RebaseStatus.MERGING)


def test_a_restart_begins_the_merge_anew(world: World) -> None:
    begin(world)
    wish(world)

    with world.work() as session:
        operator_actions.restart_phase(session, pipeline_id="p", phase="build", now=world.now)
        world.finish(session)

    assert last(world).status is RebaseStatus.MERGING
    settle(world, Merged(commit="with-base"))
    assert last(world).phase_run_id == world.phase_run().id


def test_a_paused_pipeline_takes_the_base_in_when_it_goes_on(world: World) -> None:
    begin(world)
    world.do(pipelines.pause)

    assert wish(world) == []

    world.do(pipelines.resume)
    assert sent(world) == [last(world).id]


def test_the_end_of_a_pipeline_ends_the_wish(world: World) -> None:
    begin(world)
    wish(world)
    number = last(world).id

    world.do(pipelines.cancel)

    assert (last(world).status, bool(last(world).why)) == (RebaseStatus.CANCELLED, True)
    with world.work() as session:
        assert rebases.order(session, number=number) is None


def test_where_nothing_can_be_merged_the_refusal_names_the_way_out(world: World) -> None:
    begin(world)
    world.ready("coder")
    world.merge("coder", 1)

    with pytest.raises(Conflict, match=r"build of p is closing.*egg pipeline rerun p"):
        wish(world)
    world.end("coder")
    with pytest.raises(Conflict, match=r"p is complete.*egg pipeline rerun p"):
        wish(world)


def test_a_role_that_failed_is_run_again_on_the_new_base(world: World) -> None:
    begin(world)
    world.end("coder", Exit(exit_code=1))

    bring(world)
    world.answer(RETRY)

    assert world.live("coder").number == 2
    with world.work() as session:
        reading = clone_inspection.read(session, run=world.live("coder"))
    assert reading.work_commits == ("with-base", "base")
    assert reading.bases == ((last(world).id, NEW),)
