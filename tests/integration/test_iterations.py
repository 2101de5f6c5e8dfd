"""A phase that is repeated until it converges, in a real database."""

from functools import partial

import pytest

from egg_tasks.prompts.prompt import context
from egg_tasks.services.engine import evaluation, results
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import operator_actions, pipelines
from egg_tasks.services.reads import history, pipeline_status
from models.errors import Conflict
from models.queries import results as rows
from models.schemas.fault import Faulty
from models.schemas.report import ResultRead
from models.schemas.run import Exit
from models.states import ParseStatus, PhaseStatus, PipelineStatus, Readiness, StopReason
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester", "reviews": ["coder"]}
LACK = "test_pass_rate is 50 by tester, at least 90 is asked for; failed: test_zero"
DEVELOPED = {"files_changed": 1, "tasks_completed": 1, "tests_passing": True}
"""What a developer owes beside what everyone does."""
BLOCK = (
    "I am done.\n\nPHASE_RESULT:\n- status: partial\n- summary: half\n- test_pass_rate: 50%\n"
    "- files_changed: 1\n- tasks_completed: 1\n- tests_passing: yes\n"
)


def begin(world: World, *, most: int = 2, **phase: object) -> None:
    """Start a pipeline whose phase is repeated until 90 % of the tests pass."""
    document = definition(CODER, TESTER, **{"convergence": {"test_pass_rate": 90}, **phase})
    world.begin({**document, "config": {"max_iterations": most}})


def iterate(world: World, rate: object) -> None:
    """Play one iteration to consensus, in which the tester reports a rate."""
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.start("tester")
    if rate is not None:
        world.report("tester", test_pass_rate=rate, failed_tests=["test_zero"])
    world.ready("tester", coder=1)
    world.merge("tester", 1)
    world.end("tester")


def told(world: World) -> tuple[ResultRead, ...]:
    with world.work() as session:
        return results.list_results(session, pipeline_id="p", with_raw=True)


def events(world: World, kind: str) -> list[str]:
    with world.work() as session:
        page = history.list_events(session, pipeline_id="p", after=0, limit=500)
    return [event.text for event in page.events if event.type == kind]


def test_a_phase_that_has_not_converged_is_repeated_and_its_developer_told_why(world: World) -> None:
    begin(world)
    iterate(world, 50)

    brief = world.start("coder")

    assert [(row.iteration, row.iterations_used, row.status) for row in world.phase_runs()] == [
        (1, 1, PhaseStatus.COMPLETE),
        (2, 2, PhaseStatus.RUNNING),
    ]
    assert brief is not None
    assert brief.feedback == (LACK,)
    known = context(brief)
    assert known.focus is not None
    assert known.focus.startswith("Iteration 2 of at most 2.")
    assert known.criteria == "test_pass_rate at least 90"
    assert events(world, "phase.completed") == [f"build goes on with iteration 2: {LACK}"]


def test_the_role_that_is_not_concerned_is_told_nothing(world: World) -> None:
    begin(world, mode="concurrent")
    iterate(world, 50)

    brief = world.start("tester")

    assert brief is not None
    assert brief.feedback == ()


def test_a_phase_that_converges_completes_the_pipeline(world: World) -> None:
    begin(world)
    iterate(world, 50)

    iterate(world, "95%")

    assert world.pipeline().status is PipelineStatus.COMPLETE
    assert world.pipeline().why is None
    assert [row.stop_reason for row in world.phase_runs()] == [StopReason.CONSENSUS, StopReason.CONSENSUS]


def test_a_phase_that_never_converges_ends_with_what_it_lacks(world: World) -> None:
    begin(world)
    iterate(world, 50)

    iterate(world, 50)

    why = f"build did not converge in 2 iterations: {LACK}"
    assert world.pipeline().status is PipelineStatus.COMPLETE
    assert (world.phase_run().stop_reason, world.phase_run().why) == (StopReason.MAX_ITERATIONS, LACK)
    assert world.pipeline().why == why
    assert events(world, "pipeline.completed") == [f"pipeline p is complete: {why}"]
    with world.work() as session:
        assert pipeline_status.why(session, pipeline_id="p", now=world.now).why == (
            f"build ended by max_iterations; {why}"
        )


def test_what_an_earlier_phase_lacks_is_still_said_at_the_end(world: World) -> None:
    document = definition(CODER)
    build = {"name": "build", "roles": [CODER], "convergence": {"test_pass_rate": 90}}
    ship = {"name": "ship", "roles": [CODER]}
    world.begin({**document, "phases": [build, ship], "config": {"max_iterations": 1}})

    for _ in range(2):
        world.start("coder")
        world.ready("coder")
        world.merge("coder", 1)
        world.end("coder")

    assert world.pipeline().status is PipelineStatus.COMPLETE
    assert world.pipeline().why == (
        "build did not converge in 1 iteration: "
        "nobody reported test_pass_rate, at least 90 is asked for: egg result submit"
    )


def test_a_figure_that_nobody_reports_is_not_reached(world: World) -> None:
    begin(world)

    iterate(world, None)

    assert world.phase_run().iteration == 2
    assert world.phase_run().feedback == {
        "tester": ["nobody reported test_pass_rate, at least 90 is asked for: egg result submit"]
    }


def test_a_phase_run_is_followed_by_one_iteration_however_often_it_is_evaluated(world: World) -> None:
    begin(world)
    iterate(world, 50)
    first = world.phase_runs()[0]

    for _ in range(2):
        world.evaluate()
        with world.work() as session:
            evaluation.evaluate(session, phase_run_id=first.id, now=world.now)
            world.finish(session)

    assert [row.iteration for row in world.phase_runs()] == [1, 2]


def test_an_iteration_that_was_not_committed_is_begun_by_the_next_evaluation(world: World) -> None:
    begin(world)
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.start("tester")
    world.report("tester", test_pass_rate=50)
    world.ready("tester", coder=1)
    world.merge("tester", 1)
    world.do(pipelines.pause)
    world.end("tester")
    with world.work() as session:
        pipelines.resume(session, pipeline_id="p", now=world.now)
    assert [row.iteration for row in world.phase_runs()] == [1]

    world.do(pipelines.resume)

    assert [row.iteration for row in world.phase_runs()] == [1, 2]


def test_an_extension_grants_another_iteration(world: World) -> None:
    begin(world, most=1)
    world.do(partial(pipelines.extend, iterations=1, minutes=0))

    iterate(world, 50)

    assert world.phase_run().iterations_used == 2
    assert events(world, "pipeline.extended") == ["pipeline p is extended by 1 iteration"]


def test_an_extension_moves_the_deadlines_that_are_set(world: World) -> None:
    begin(world)
    with world.work() as session:
        row = session.merge(world.phase_run())
        row.soft_deadline_at = row.hard_deadline_at = world.now
        world.finish(session)

    world.do(partial(pipelines.extend, iterations=0, minutes=1.5))

    moved = world.phase_run()
    assert moved.soft_deadline_at == moved.hard_deadline_at
    assert moved.soft_deadline_at is not None
    assert (moved.soft_deadline_at - world.now).total_seconds() == 90


def test_time_is_not_granted_where_no_deadline_runs(world: World) -> None:
    begin(world)
    with world.work() as session:
        row = session.merge(world.phase_run())
        row.soft_deadline_at = row.hard_deadline_at = None
        world.finish(session)

    with pytest.raises(Conflict, match="no deadline"):
        world.do(partial(pipelines.extend, iterations=1, minutes=5))


def test_a_pipeline_that_is_over_is_not_extended(world: World) -> None:
    begin(world)
    world.do(pipelines.cancel)

    with pytest.raises(Conflict, match="egg pipeline rerun p"):
        world.do(partial(pipelines.extend, iterations=1, minutes=0))


def test_a_restart_uses_no_iteration_up_and_keeps_the_feedback(world: World) -> None:
    begin(world)
    iterate(world, 50)

    world.do(partial(operator_actions.restart_phase, phase="build"))

    assert (world.phase_run().iteration, world.phase_run().iterations_used) == (3, 2)
    assert world.phase_run().feedback == {"coder": [LACK]}


def test_a_retry_uses_no_iteration_up(world: World) -> None:
    begin(world, mode="concurrent")
    for role in ("coder", "tester"):
        world.start(role)
    for role in ("coder", "tester"):
        world.end(role, Exit(exit_code=1))

    world.answer("retry")

    assert (world.phase_run().iteration, world.phase_run().iterations_used) == (2, 1)


def test_a_phase_that_a_person_accepts_is_not_repeated(world: World) -> None:
    begin(world, mode="concurrent")
    for role, other in (("coder", "tester"), ("tester", "coder")):
        world.start(role)
        world.say(role, Signal(Readiness.BLOCKED, on=other))
        world.end(role)

    world.answer("accept")

    assert world.pipeline().status is PipelineStatus.COMPLETE
    assert world.phase_run().stop_reason is StopReason.ACCEPTED


def test_a_submitted_result_beats_the_block_in_the_output(world: World) -> None:
    begin(world)
    world.start("coder")
    world.report("coder", test_pass_rate=99, **DEVELOPED)

    world.end("coder", log=BLOCK)

    assert [(row.parse_status, row.fields["test_pass_rate"]) for row in told(world)] == [
        (ParseStatus.SUBMITTED, 99.0)
    ]


def test_without_a_submission_the_last_block_of_the_output_is_the_result(world: World) -> None:
    begin(world)
    world.start("coder")

    world.end("coder", log=BLOCK)

    (row,) = told(world)
    assert (row.parse_status, row.stands) == (ParseStatus.PARSED, True)
    assert row.fields == {"status": "partial", "summary": "half", "test_pass_rate": 50.0, **DEVELOPED}
    assert row.raw == BLOCK.removeprefix("I am done.\n\n")
    assert events(world, "result.reported") == ["coder (run 1) reports partial: half"]


def test_a_block_that_is_no_result_is_kept_and_does_not_stand(world: World) -> None:
    begin(world)
    world.start("coder")
    world.end("coder", log=BLOCK)
    world.wait_out()
    world.start("coder")

    world.end("coder", log="PHASE_RESULT:\n- status: good\n")

    first, second = told(world)
    assert (first.stands, second.stands) == (True, False)
    assert (second.parse_status, second.raw) == (ParseStatus.INVALID, "PHASE_RESULT:\n- status: good\n")
    assert [fault.partition(":")[0] for fault in second.faults] == [
        "status",
        "summary",
        *DEVELOPED,
    ]
    assert len(events(world, "result.invalid")) == 1


def test_an_output_without_a_block_is_no_result(world: World) -> None:
    begin(world)
    world.start("coder")

    world.end("coder")

    assert told(world) == ()


def test_the_output_of_a_cancelled_run_is_no_result(world: World) -> None:
    begin(world)
    world.start("coder")
    world.do(partial(operator_actions.restart_phase, phase="build"))

    world.end("coder", Exit(stopped=True), log=BLOCK)

    assert told(world) == ()


def test_the_newest_result_of_a_role_stands(world: World) -> None:
    begin(world)
    world.start("coder")
    world.report("coder", test_pass_rate=50, **DEVELOPED)

    world.report("coder", test_pass_rate=99, **DEVELOPED)

    assert [row.stands for row in told(world)] == [False, True]


def test_the_same_result_again_is_the_same(world: World) -> None:
    begin(world)
    world.start("coder")

    ids = [world.report("coder", coverage=coverage, **DEVELOPED).id for coverage in (70, "70%")]

    assert len(set(ids)) == 1


def test_a_result_is_taken_while_the_phase_closes(world: World) -> None:
    begin(world, convergence={"test_pass_rate": 90})
    world.start("coder")
    world.ready("coder")
    world.end("coder")
    world.merge("coder", 1)
    world.start("tester")
    world.ready("tester", coder=1)
    world.merge("tester", 1)
    assert world.phase_run().status is PhaseStatus.CLOSING

    world.report("tester", test_pass_rate=95)
    world.end("tester")

    assert world.pipeline().status is PipelineStatus.COMPLETE


def test_a_result_of_a_run_that_is_over_is_refused(world: World) -> None:
    begin(world)
    world.start("coder")
    run = world.live("coder")
    world.do(pipelines.cancel)

    with world.work() as session, pytest.raises(Conflict, match="over"):
        results.submit(session, run_id=run.id, fields={}, now=world.now)


def test_a_result_that_is_none_names_its_faults_and_is_not_kept(world: World) -> None:
    begin(world)
    world.start("coder")

    with pytest.raises(Faulty, match="coverage"):
        world.report("coder", status="fine", coverage="high")

    assert told(world) == ()


def test_a_role_owes_what_its_kind_reports_and_is_told_so(world: World) -> None:
    begin(world)

    brief = world.start("coder")

    assert brief is not None
    assert set(DEVELOPED) < set(context(brief).result_fields)
    with pytest.raises(Faulty) as caught:
        world.report("coder")
    assert {fault.path[0] for fault in caught.value.faults} == set(DEVELOPED)


def test_where_no_figures_are_asked_for_no_role_owes_more_than_any(world: World) -> None:
    begin(world, convergence=None)
    world.start("coder")

    world.report("coder", files_changed="three of them")

    assert [row.fields["files_changed"] for row in told(world)] == ["three of them"]


def test_a_block_that_an_earlier_egg_refused_says_at_least_that(world: World) -> None:
    begin(world, convergence=None)
    world.start("coder")
    world.end("coder", log=BLOCK)
    with world.work() as session:
        (row,) = rows.list_results(session, pipeline_id="p")
        row.parse_status, row.fields = ParseStatus.INVALID, {}
        world.finish(session)

    (read,) = told(world)

    assert read.faults == ("the egg of that time asked for more fields",)


def test_the_result_of_a_dropped_role_does_not_count(world: World) -> None:
    begin(world, mode="concurrent", convergence={"test_pass_rate": 90})
    world.start("coder")
    world.report("coder", test_pass_rate=95, **DEVELOPED)
    world.start("tester")
    world.report("tester", test_pass_rate=10)
    world.end("tester", Exit(exit_code=1))
    world.answer("continue")
    world.ready("coder")
    world.merge("coder", 1)

    world.end("coder")

    assert world.pipeline().why is None
    assert world.phase_run().stop_reason is StopReason.CONSENSUS


def test_the_status_tells_the_iteration_and_what_stands(world: World) -> None:
    begin(world, most=3)
    world.do(partial(pipelines.extend, iterations=2, minutes=0))
    world.start("coder")
    world.report("coder", coverage=70, **DEVELOPED)

    with world.work() as session:
        status = pipeline_status.status(session, pipeline_id="p", now=world.now)
    with world.work() as session:
        (phase,) = history.list_phases(session, pipeline_id="p", now=world.now)

    assert (status.iterations_used, status.max_iterations, status.stop_reason) == (1, 5, None)
    assert [row.fields["coverage"] for row in status.results] == [70.0]
    assert (phase.iterations_used, phase.max_iterations, phase.results) == (1, 5, status.results)
