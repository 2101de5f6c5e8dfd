"""What a person is asked, once, and with which ways out."""

import pytest

from models.consensus.decide import decide
from models.consensus.policy import OnFailure
from models.consensus.snapshot import Deadlines, RoleView, RunView, Snapshot
from models.consensus.step import (
    ABORT,
    ACCEPT,
    CONTINUE,
    OVERRIDE,
    RETRY,
    WAIT,
    Ask,
    Cause,
    CauseKind,
    DecisionKind,
    Dispatch,
    Drop,
    Fail,
    Wait,
)
from models.states import Failure, MergeStatus, ObjectionStatus, Readiness
from tests.factories import (
    FIRST,
    LONG_AGO,
    NOW,
    decision,
    fresh,
    objection,
    policy,
    ran,
    ready,
    run,
    running,
    snapshot,
    unready,
)

REVIEWER = policy("tester", reviews=["coder"])
CRASH = run(1, failure=Failure.PROCESS_FAILURE)


def asked(phase: Snapshot) -> Ask:
    verdict = decide(phase)
    assert isinstance(verdict, Ask)
    return verdict


def failed(on_failure: OnFailure, *trailing: RunView) -> RoleView:
    return unready(policy("coder", on_failure=on_failure), *(trailing or (CRASH,)))


def stalled(**changes: object) -> Snapshot:
    blocked = ran("tester", Readiness.BLOCKED, blocked_on="coder")
    return snapshot(ran("coder", Readiness.BLOCKED), blocked, **changes)  # type: ignore[arg-type]


def test_a_person_is_asked_about_an_agent_that_failed() -> None:
    question = asked(snapshot(unready("coder", CRASH)))

    assert question == Ask(
        "failure:coder:1",
        DecisionKind.FAILURE,
        "coder failed (run 1). What now?",
        (RETRY, ABORT, CONTINUE),
        ABORT,
        ("coder",),
    )


def test_the_others_go_on_while_a_person_is_asked_about_one() -> None:
    phase = snapshot(
        unready("coder", CRASH), fresh("tester"), decisions=(decision("failure:coder:1", "coder"),)
    )

    verdict = decide(phase)

    assert isinstance(verdict, Dispatch)
    assert [assignment.role for assignment in verdict.assignments] == ["tester"]


def test_a_person_who_is_the_last_to_be_waited_for_is_named() -> None:
    phase = snapshot(unready("coder", CRASH), decisions=(decision("failure:coder:1", "coder", number=4),))

    assert decide(phase) == Wait("a person's answer to decision 4", on_person=True)


def test_a_person_is_not_waited_for_while_an_agent_works() -> None:
    phase = snapshot(
        unready("coder", CRASH), running(fresh("tester")), decisions=(decision("failure:coder:1", "coder"),)
    )

    assert decide(phase) == Wait("a person's answer to decision 1")


def test_a_role_is_run_again_when_a_person_says_so() -> None:
    answered = decision("failure:coder:1", "coder", number=4, resolution=RETRY)
    phase = snapshot(unready("coder", CRASH, owed_by_decision=4), decisions=(answered,))

    assert isinstance(decide(phase), Dispatch)


def test_a_granted_run_that_fails_as_well_is_asked_about_anew() -> None:
    again = run(2, failure=Failure.PROCESS_FAILURE, causes=(Cause(CauseKind.RETRY, "decision", 4),))
    answered = decision("failure:coder:1", "coder", number=4, resolution=RETRY)
    phase = snapshot(unready("coder", CRASH, again, owed_by_decision=4), decisions=(answered,))

    assert asked(phase).key == "failure:coder:2"


def test_a_failed_role_is_dropped_when_its_policy_is_to_continue() -> None:
    phase = snapshot(failed(OnFailure.CONTINUE), fresh("tester"))

    assert decide(phase) == Drop("coder", "coder failed (run 1); the phase goes on without it")


def test_a_failed_role_fails_the_phase_when_its_policy_is_to_abort() -> None:
    phase = snapshot(failed(OnFailure.ABORT), fresh("tester"))

    assert decide(phase) == Fail("coder failed (run 1)")


def test_an_agent_that_cannot_be_started_is_a_failure_after_three_retries() -> None:
    starts = [run(n, failure=Failure.STARTUP) for n in (1, 2, 3, 4)]

    assert asked(snapshot(unready("coder", *starts))).question == (
        "coder could not be started (run 4). What now?"
    )


def test_a_failed_start_is_no_failure_while_it_has_retries_left() -> None:
    starts = [run(n, failure=Failure.STARTUP) for n in (1, 2, 3)]

    assert isinstance(decide(snapshot(failed(OnFailure.ABORT, *starts))), Dispatch)


def test_a_role_without_a_verdict_after_two_recoveries_has_failed() -> None:
    question = asked(snapshot(unready("coder", run(1), run(2), run(3))))

    assert question.question == (
        "coder ended again and again without a verdict (run 3)."
        " An agent gives its verdict with `egg signal readiness --state READY`. What now?"
    )


def test_lost_runs_between_them_do_not_buy_more_recoveries() -> None:
    lost = run(2, failure=Failure.LOST)

    assert asked(snapshot(unready("coder", run(1), lost, run(3), run(4)))).kind is DecisionKind.FAILURE


def test_a_lost_run_is_no_failure_as_long_as_it_does_not_happen_again_and_again() -> None:
    lost = [run(n, failure=Failure.LOST) for n in (1, 2, 3, 4)]

    assert isinstance(decide(snapshot(failed(OnFailure.ABORT, *lost[:3]))), Dispatch)
    assert isinstance(decide(snapshot(failed(OnFailure.ABORT, *lost))), Fail)


def test_a_person_is_asked_about_a_role_that_is_due_beyond_its_rounds() -> None:
    phase = snapshot(ready("coder", runs=6, dispatched=6, waking_message=3), fresh("tester"))

    question = asked(phase)

    assert question.key == "bound:coder:6"
    assert question.question == "coder has run 6 times in this phase and is due again: message. What now?"
    assert question.options == (WAIT, RETRY, ACCEPT, ABORT)


def test_the_last_round_is_run_without_a_question() -> None:
    phase = snapshot(ready("coder", runs=5, dispatched=5, waking_message=3), running(fresh("tester")))

    assert isinstance(decide(phase), Dispatch)


def test_a_person_may_grant_one_more_round() -> None:
    answered = decision("bound:coder:6", "coder", number=2, resolution=WAIT)
    coder = ready("coder", runs=6, dispatched=6, waking_message=3, extra_rounds=1, owed_by_decision=2)
    phase = snapshot(coder, running(fresh("tester")), decisions=(answered,))

    assert isinstance(decide(phase), Dispatch)


def test_a_role_at_its_bound_that_is_not_due_is_no_question() -> None:
    phase = snapshot(ready("coder", runs=6, dispatched=6), running(fresh("tester")))

    assert isinstance(decide(phase), Wait)


def test_a_stall_is_put_to_a_person_and_names_who_waits_for_what() -> None:
    question = asked(stalled())

    assert question.kind is DecisionKind.STALL
    assert question.question == "Nobody can go on: coder is BLOCKED; tester is BLOCKED on coder. What now?"
    assert question.roles == ("coder", "tester")
    assert question.options == (WAIT, RETRY, ACCEPT, ABORT)
    assert question.default == ABORT


def test_a_stall_over_objections_may_be_ended_by_overriding_them() -> None:
    handed = Cause(CauseKind.OBJECTION, "tester", 1, 1)
    phase = snapshot(
        ran(
            "coder",
            Readiness.BLOCKED,
            version=1,
            merge=MergeStatus.MERGED,
            handled=frozenset({FIRST, handed}),
        ),
        ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1}),
        objections=(objection("tester", "coder"),),
    )

    assert asked(phase).options == (OVERRIDE, WAIT, RETRY, ACCEPT, ABORT)


def test_a_stall_in_which_all_are_settled_names_the_required_roles() -> None:
    linter, stylist = (ready(policy(name, required=False)) for name in ("linter", "stylist"))
    overruled = objection("linter", "stylist", ObjectionStatus.ANSWERED)
    handed = Cause(CauseKind.ANSWERED, "stylist", 1, 1)
    linter = ready(linter.policy, handled=frozenset({FIRST, handed}))
    phase = snapshot(ready("coder"), linter, stylist, objections=(overruled,))

    assert asked(phase).roles == ("stylist",)


@pytest.mark.parametrize(
    "changes",
    [{"is_check_live": True}, {"is_superseded_merging": True}],
    ids=["a check", "a merge of an older version"],
)
def test_there_is_no_stall_while_something_is_under_way(changes: dict[str, object]) -> None:
    assert isinstance(decide(stalled(**changes)), Wait)


def test_there_is_no_stall_while_a_version_waits_to_be_merged() -> None:
    phase = snapshot(
        ran("coder", Readiness.BLOCKED),
        ready("tester", merge=MergeStatus.PENDING),
        is_superseded_merging=True,
    )

    assert isinstance(decide(phase), Wait)


def test_there_is_no_second_question_while_a_stall_is_asked_about() -> None:
    verdict = decide(stalled(decisions=(decision("stall:2:0", "coder", "tester"),)))

    assert verdict == Wait("a person's answer to decision 1", on_person=True)


def test_a_question_is_not_put_twice_for_the_same_cause() -> None:
    answered = decision("bound:coder:6", "coder", resolution=OVERRIDE)
    coder = ready("coder", runs=6, dispatched=6, waking_message=3)
    phase = snapshot(coder, running(fresh("tester")), decisions=(answered,))

    assert isinstance(decide(phase), Wait)


def test_a_phase_without_a_required_role_is_kept_or_aborted() -> None:
    phase = snapshot(fresh("coder", is_dropped=True), fresh(policy("linter", required=False)))

    question = asked(phase)

    assert (question.kind, question.options) == (DecisionKind.ABANDONED, (ACCEPT, ABORT))
    assert question.roles == ()


def test_an_objection_upheld_twice_over_words_goes_to_a_person() -> None:
    phase = snapshot(
        ready("coder"),
        ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1}),
        objections=(objection("tester", "coder", round=3, upheld_over_words=2),),
    )

    question = asked(phase)

    assert question.key == "objection:1:2"
    assert question.question == "tester and coder cannot agree by words on objection 1. What now?"
    assert question.roles == ("tester", "coder")


def test_an_objection_upheld_once_over_words_does_not() -> None:
    phase = snapshot(
        ready("coder"),
        ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1}),
        objections=(objection("tester", "coder", round=2, upheld_over_words=1),),
    )

    assert isinstance(decide(phase), Dispatch)


@pytest.mark.parametrize(("dropped", "left"), [("tester", "coder"), ("coder", "tester")])
def test_an_objection_of_which_a_party_was_dropped_goes_to_a_person(dropped: str, left: str) -> None:
    phase = snapshot(
        ready("coder", is_dropped=dropped == "coder"),
        ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1}, is_dropped=dropped == "tester"),
        objections=(objection("tester", "coder"),),
    )

    question = asked(phase)

    assert question.key == "objection:1:orphaned"
    assert question.roles == (left,)


def test_an_objection_of_a_dropped_role_goes_to_a_person_once() -> None:
    phase = snapshot(
        ready("coder"),
        ran(REVIEWER, Readiness.OBJECTING, is_dropped=True),
        objections=(objection("tester", "coder"),),
        decisions=(decision("objection:1:orphaned", "coder", number=3, resolution=WAIT),),
    )

    assert isinstance(decide(phase), Dispatch)


def test_a_pause_that_runs_is_no_stall() -> None:
    phase = snapshot(unready("coder", run(1, failure=Failure.STARTUP, ended_at=NOW)), ready("tester"))

    assert isinstance(decide(phase), Wait)


CONFLICT = {"merge": MergeStatus.CONFLICTED, "conflict_paths": ("app.py",), "version": 2}
IN_CONFLICT = "coder has a conflict of version 2 with the work branch in app.py"


def test_a_stall_over_a_conflict_names_the_conflict_first() -> None:
    blocked = ran("tester", Readiness.BLOCKED)
    handled = frozenset({FIRST, Cause(CauseKind.CONFLICT, number=2)})
    phase = snapshot(blocked, ran("coder", Readiness.READY, handled=handled, **CONFLICT))

    assert asked(phase).question == f"Nobody can go on: {IN_CONFLICT}; tester is BLOCKED. What now?"


def test_the_question_about_a_role_that_ran_too_often_names_its_conflict_first() -> None:
    phase = snapshot(ran("coder", Readiness.READY, runs=6, **CONFLICT))

    assert asked(phase).question == (
        f"{IN_CONFLICT}. coder has run 6 times in this phase and is due again: conflict. What now?"
    )


def test_the_question_about_a_run_that_failed_names_its_roles_conflict_first() -> None:
    assert asked(snapshot(unready("coder", CRASH, **CONFLICT))).question == (
        f"{IN_CONFLICT}. coder failed (run 1). What now?"
    )


def test_the_question_at_the_deadline_names_conflicts_first() -> None:
    over = Deadlines(LONG_AGO, LONG_AGO, LONG_AGO)
    phase = snapshot(
        running(fresh("tester")), running(ran("coder", Readiness.READY, **CONFLICT)), deadlines=over
    )

    assert asked(phase).question == (
        f"implement has not come to its end in its time: {IN_CONFLICT}; tester is WORKING. What now?"
    )
