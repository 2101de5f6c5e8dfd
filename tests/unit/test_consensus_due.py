"""Which roles have a reason to run, and which may."""

from dataclasses import replace
from datetime import timedelta

import pytest

from models.consensus.decide import decide
from models.consensus.due import new_causes
from models.consensus.policy import CheckPolicy, Mode, NeedPolicy, OnFailure
from models.consensus.retries import ready_at
from models.consensus.snapshot import RoleView, Snapshot
from models.consensus.step import RETRY, WAIT, Ask, Assignment, Cause, CauseKind, Dispatch, Wait
from models.states import CheckStatus, Failure, MergeStatus, ObjectionStatus, Readiness
from tests.factories import (
    FIRST,
    LONG_AGO,
    NOW,
    check,
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
OTHER_REVIEWER = policy("reviewer", reviews=["coder"])
BEHIND = policy("tester", needs=["coder"])
HARD = policy("tester", needs=[NeedPolicy("coder", hard=True)])
CHECKED = CheckPolicy("make test")


def due(phase: Snapshot, name: str) -> set[Cause]:
    return set(new_causes(phase, phase.by_name[name]))


def who_runs(phase: Snapshot) -> list[str]:
    verdict = decide(phase)
    return [a.role for a in verdict.assignments] if isinstance(verdict, Dispatch) else []


def test_a_role_that_has_not_run_is_due() -> None:
    assert decide(snapshot(fresh("coder"))) == Dispatch((Assignment("coder", (FIRST,)),))


def test_a_live_role_is_not_due() -> None:
    assert due(snapshot(running(fresh("coder"))), "coder") == set()


def test_a_role_is_not_due_while_the_work_of_its_last_run_is_not_safe() -> None:
    phase = snapshot(fresh("coder", last=run(0, is_closed=False)))

    assert decide(phase) == Wait("coder is WORKING")


def test_a_dropped_role_is_not_due() -> None:
    assert who_runs(snapshot(fresh("coder", is_dropped=True), fresh("tester"))) == ["tester"]


def test_a_role_a_person_is_asked_about_is_not_due() -> None:
    phase = snapshot(fresh("coder"), fresh("tester"), decisions=(decision("x", "coder"),))

    assert who_runs(phase) == ["tester"]


def test_nobody_is_due_while_a_person_is_asked_about_the_phase() -> None:
    assert who_runs(snapshot(fresh("coder"), fresh("tester"), decisions=(decision("x"),))) == []


def test_in_waves_a_role_waits_for_what_it_needs() -> None:
    assert who_runs(snapshot(fresh("coder"), fresh(BEHIND), mode=Mode.WAVES)) == ["coder"]


def test_in_waves_a_role_waits_until_what_it_needs_is_merged() -> None:
    phase = snapshot(ready("coder", merge=MergeStatus.MERGING), fresh(BEHIND), mode=Mode.WAVES)

    assert who_runs(phase) == []


def test_in_waves_a_role_starts_once_what_it_needs_is_settled_and_merged() -> None:
    assert who_runs(snapshot(ready("coder"), fresh(BEHIND), mode=Mode.WAVES)) == ["tester"]


def test_a_needed_role_that_was_overruled_before_its_first_version_is_nothing_to_wait_for() -> None:
    overruled = objection("coder", "planner", ObjectionStatus.OVERRULED)
    phase = snapshot(
        ready("planner"),
        ran("coder", Readiness.OBJECTING),
        fresh(BEHIND),
        mode=Mode.WAVES,
        objections=(overruled,),
    )

    assert who_runs(phase) == ["tester"]


def test_the_needs_of_a_dropped_role_fall_away() -> None:
    phase = snapshot(fresh("coder", is_dropped=True), fresh(BEHIND), mode=Mode.WAVES)

    assert who_runs(phase) == ["tester"]


def test_needs_filter_first_runs_only() -> None:
    phase = snapshot(
        running(fresh("coder")), ran(BEHIND, Readiness.BLOCKED, waking_message=3), mode=Mode.WAVES
    )

    assert due(phase, "tester") == {Cause(CauseKind.MESSAGE, number=3)}


def test_concurrent_roles_do_not_wait_for_soft_needs() -> None:
    assert who_runs(snapshot(fresh("coder"), fresh(BEHIND))) == ["coder", "tester"]


def test_concurrent_roles_wait_for_hard_needs() -> None:
    assert who_runs(snapshot(fresh("coder"), fresh(HARD))) == ["coder"]


def test_sequential_roles_start_in_roster_order() -> None:
    assert who_runs(snapshot(fresh("coder"), fresh("tester"), mode=Mode.SEQUENTIAL)) == ["coder"]


def test_a_sequential_role_waits_for_the_one_that_runs() -> None:
    assert who_runs(snapshot(running(fresh("coder")), fresh("tester"), mode=Mode.SEQUENTIAL)) == []


def test_the_next_sequential_role_starts_when_the_one_before_has_run() -> None:
    phase = snapshot(ran("coder", Readiness.BLOCKED), fresh("tester"), mode=Mode.SEQUENTIAL)

    assert who_runs(phase) == ["tester"]


def test_a_sequential_role_does_not_overtake_an_earlier_one_that_may_not_start() -> None:
    phase = snapshot(fresh("coder", last=run(0, is_closed=False)), fresh("tester"), mode=Mode.SEQUENTIAL)

    assert who_runs(phase) == []


def test_no_more_agents_run_than_may() -> None:
    roles = (fresh(name) for name in ("a", "b", "c"))
    phase = snapshot(running(fresh("coder")), *roles, max_concurrent_agents=3)

    assert who_runs(phase) == ["a", "b"]


def test_a_message_wakes_a_role() -> None:
    phase = snapshot(ready("coder", waking_message=5), fresh("tester"))

    assert due(phase, "coder") == {Cause(CauseKind.MESSAGE, number=5)}


def test_a_blocked_role_is_woken_by_a_later_version_of_whom_it_waits_for() -> None:
    phase = snapshot(ready("coder"), ran("tester", Readiness.BLOCKED, blocked_on="coder"))

    assert due(phase, "tester") == {Cause(CauseKind.UNBLOCKED, "coder", 1)}


def test_a_blocked_role_is_not_woken_before_the_version_is_merged() -> None:
    phase = snapshot(
        ready("coder", merge=MergeStatus.MERGING), ran("tester", Readiness.BLOCKED, blocked_on="coder")
    )

    assert due(phase, "tester") == set()


def test_a_blocked_role_is_not_woken_by_a_version_it_had_seen() -> None:
    blocked = ran("tester", Readiness.BLOCKED, blocked_on="coder", seen={"coder": 1})

    assert due(snapshot(ready("coder"), blocked), "tester") == set()


def test_a_role_blocked_on_a_dropped_one_is_woken() -> None:
    blocked = ran("tester", Readiness.BLOCKED, blocked_on="coder")
    phase = snapshot(ready("coder", is_dropped=True), blocked)

    assert due(phase, "tester") == {Cause(CauseKind.UNBLOCKED, "coder")}


def test_a_ready_gone_stale_is_due_for_the_version_it_has_not_seen() -> None:
    phase = snapshot(ready("coder", version=2), ready(REVIEWER, seen={"coder": 1}))

    assert due(phase, "tester") == {Cause(CauseKind.STALE, "coder", 2)}


def test_an_overruled_objector_goes_stale_like_a_ready_one() -> None:
    phase = snapshot(
        ready("coder", version=2),
        ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1}),
        objections=(objection("tester", "coder", ObjectionStatus.OVERRULED),),
    )

    assert due(phase, "tester") == {Cause(CauseKind.STALE, "coder", 2)}


def test_a_version_that_conflicts_makes_nobody_stale_yet() -> None:
    phase = snapshot(
        ready("coder", version=2, merge=MergeStatus.CONFLICTED), ready(REVIEWER, seen={"coder": 1})
    )

    assert due(phase, "tester") == set()


def test_a_cause_a_run_has_dealt_with_is_not_new() -> None:
    stale = Cause(CauseKind.STALE, "coder", 2)
    reviewer = ready(REVIEWER, seen={"coder": 1}, handled=frozenset({FIRST, stale}))

    assert due(snapshot(ready("coder", version=2), reviewer), "tester") == set()


def accused(*others: RoleView, opened_at: timedelta = timedelta()) -> Snapshot:
    objector = ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1})
    against = objection("tester", "coder", opened_at=NOW - opened_at)
    return snapshot(ready("coder"), objector, *others, objections=(against,))


def test_an_objection_is_handed_over_at_once_when_all_reviewers_have_spoken() -> None:
    phase = accused(ready(OTHER_REVIEWER, seen={"coder": 1}))

    assert due(phase, "coder") == {Cause(CauseKind.OBJECTION, "tester", 1, 1)}


def test_a_blocked_reviewer_has_spoken() -> None:
    phase = accused(ran(OTHER_REVIEWER, Readiness.BLOCKED))

    assert due(phase, "coder") == {Cause(CauseKind.OBJECTION, "tester", 1, 1)}


@pytest.mark.parametrize(
    "silent",
    [running(fresh(OTHER_REVIEWER)), running(ready(OTHER_REVIEWER))],
    ids=["still works", "has not seen the version"],
)
def test_an_objection_waits_for_a_reviewer_that_has_not_spoken(silent: RoleView) -> None:
    verdict = decide(accused(silent, opened_at=timedelta(seconds=5)))

    assert isinstance(verdict, Wait)
    assert verdict.until == NOW + timedelta(seconds=15)


def test_an_objection_is_handed_over_when_its_grace_is_over() -> None:
    phase = accused(running(fresh(OTHER_REVIEWER)), opened_at=timedelta(seconds=20))

    assert due(phase, "coder") == {Cause(CauseKind.OBJECTION, "tester", 1, 1)}


def test_an_objection_by_a_role_that_does_not_review_is_handed_over_at_once() -> None:
    phase = snapshot(
        ready("coder"),
        ran("tester", Readiness.OBJECTING),
        objections=(objection("tester", "coder", opened_at=NOW),),
    )

    assert due(phase, "coder") == {Cause(CauseKind.OBJECTION, "tester", 1, 1)}


def test_an_answered_objection_is_handed_back_to_its_objector() -> None:
    answered = objection("tester", "coder", ObjectionStatus.ANSWERED)
    phase = snapshot(ready("coder", version=2), ran(REVIEWER, Readiness.OBJECTING), objections=(answered,))

    assert due(phase, "tester") == {Cause(CauseKind.ANSWERED, "coder", 1, 1)}


def test_an_answer_is_handed_back_only_once_it_is_merged() -> None:
    answered = objection("tester", "coder", ObjectionStatus.ANSWERED)
    phase = snapshot(
        ready("coder", version=2, merge=MergeStatus.MERGING),
        ran(REVIEWER, Readiness.OBJECTING),
        objections=(answered,),
    )

    assert due(phase, "tester") == set()


def test_an_objection_upheld_is_a_new_cause() -> None:
    first = Cause(CauseKind.OBJECTION, "tester", 1, 1)
    phase = snapshot(
        ready("coder", handled=frozenset({FIRST, first})),
        ran(REVIEWER, Readiness.OBJECTING),
        objections=(objection("tester", "coder", round=2),),
    )

    assert due(phase, "coder") == {Cause(CauseKind.OBJECTION, "tester", 1, 2)}


def test_a_role_is_due_for_its_conflict() -> None:
    phase = snapshot(ready("coder", version=2, merge=MergeStatus.CONFLICTED))

    assert due(phase, "coder") == {Cause(CauseKind.CONFLICT, number=2)}


def test_the_owner_of_a_red_check_is_due() -> None:
    phase = snapshot(ready("coder"), ready("tester"), check_policy=CHECKED, check=check(CheckStatus.RED))

    assert decide(phase) == Dispatch((Assignment("coder", (Cause(CauseKind.CHECK, number=7, round=1),)),))


def test_a_run_that_ended_without_its_verdict_is_followed_by_a_recovery() -> None:
    phase = snapshot(unready("coder", run(1)))

    assert due(phase, "coder") == {FIRST, Cause(CauseKind.RECOVERY, number=1)}


def test_a_recovery_is_due_before_a_standing_ready_counts() -> None:
    phase = snapshot(ready("coder", trailing=(run(2),)))

    assert decide(phase) == Dispatch((Assignment("coder", (Cause(CauseKind.RECOVERY, number=2),)),))


def test_a_lost_run_is_retried() -> None:
    phase = snapshot(unready("coder", run(1, failure=Failure.LOST)))

    assert due(phase, "coder") == {FIRST, Cause(CauseKind.RETRY, number=1)}


def test_an_agent_that_could_not_be_started_is_retried_after_a_pause() -> None:
    phase = snapshot(unready("coder", run(1, failure=Failure.STARTUP, ended_at=NOW)))

    assert decide(phase) == Wait("coder could not be started (run 1)", NOW + timedelta(seconds=10))


def test_an_agent_that_could_not_be_started_is_retried_when_the_pause_is_over() -> None:
    phase = snapshot(unready("coder", run(1, failure=Failure.STARTUP, ended_at=LONG_AGO)))

    assert due(phase, "coder") == {FIRST, Cause(CauseKind.RETRY, number=1)}


def test_the_pause_doubles_with_each_failed_start() -> None:
    failed = [run(n, failure=Failure.STARTUP, ended_at=NOW) for n in (1, 2, 3)]
    phase = snapshot(unready("coder", *failed))

    assert ready_at(phase, phase.roles[0]) == NOW + timedelta(seconds=40)


def test_a_failed_start_whose_end_is_not_known_needs_no_pause() -> None:
    phase = snapshot(unready("coder", run(1, failure=Failure.STARTUP, ended_at=None)))

    assert ready_at(phase, phase.roles[0]) == NOW


def test_a_role_with_the_policy_retry_is_retried_whatever_failed() -> None:
    rules = policy("coder", on_failure=OnFailure.RETRY)
    phase = snapshot(unready(rules, run(1, failure=Failure.PROCESS_FAILURE)))

    assert due(phase, "coder") == {FIRST, Cause(CauseKind.RETRY, number=1)}


@pytest.mark.parametrize("answer", [RETRY, WAIT])
def test_a_run_a_person_grants_is_due(answer: str) -> None:
    answered = decision("stall:1:0", "coder", number=9, resolution=answer)
    phase = snapshot(ran("coder", Readiness.BLOCKED, owed_by_decision=9), decisions=(answered,))

    assert due(phase, "coder") == {Cause(CauseKind.RETRY, "decision", 9)}


def test_a_run_a_person_grants_to_a_failed_role_needs_no_pause() -> None:
    failed = [run(n, failure=Failure.STARTUP, ended_at=NOW) for n in (1, 2, 3, 4)]
    phase = snapshot(unready("coder", *failed, owed_by_decision=9))

    assert Cause(CauseKind.RETRY, "decision", 9) in due(phase, "coder")


def test_a_granted_run_that_was_dealt_with_is_not_owed_again() -> None:
    granted = Cause(CauseKind.RETRY, "decision", 9)
    blocked = ran("coder", Readiness.BLOCKED, owed_by_decision=9, handled=frozenset({FIRST, granted}))

    assert due(snapshot(blocked), "coder") == set()


@pytest.mark.parametrize(("failure", "kind"), [(Failure.STARTUP, "retry"), (None, "recovery")])
def test_a_person_who_lets_a_role_try_again_resets_its_counters(failure: Failure | None, kind: str) -> None:
    granted = Cause(CauseKind.RETRY, "decision", 9)
    failed = [run(n, failure=failure) for n in (1, 2, 3, 4)]
    last = run(5, failure=failure, causes=(granted,))
    phase = snapshot(unready("coder", *failed, last, owed_by_decision=9))

    assert Cause(CauseKind(kind), number=5) in due(phase, "coder")


def test_a_cause_is_read_as_it_was_written() -> None:
    cause = Cause(CauseKind.OBJECTION, "tester", 4, 2)

    assert Cause.parse(str(cause)) == cause


@pytest.mark.parametrize(("runs", "seconds"), [(1, 0), (2, 0), (3, 5), (4, 10), (5, 20)])
def test_a_role_that_has_run_often_rests_before_it_runs_again(runs: int, seconds: int) -> None:
    called = ran("coder", Readiness.BLOCKED, runs=runs, waking_message=7, last=run(ended_at=NOW))
    phase = snapshot(called)

    verdict = decide(phase)

    until = verdict.until if isinstance(verdict, Wait) else NOW
    assert until == NOW + timedelta(seconds=seconds)
    assert isinstance(decide(replace(phase, now=until)), Dispatch)


def test_a_role_that_has_run_often_and_has_nothing_to_run_for_rests_not() -> None:
    blocked = ran("coder", Readiness.BLOCKED, runs=4, last=run(ended_at=NOW))

    assert isinstance(decide(snapshot(blocked)), Ask)


def test_a_question_about_too_many_runs_waits_for_no_rest() -> None:
    called = ran("coder", Readiness.BLOCKED, runs=6, waking_message=7, last=run(ended_at=NOW))

    assert isinstance(decide(snapshot(called)), Ask)


def test_a_run_a_person_grants_waits_for_no_rest() -> None:
    answered = decision("stall:1:0", "coder", number=9, resolution=WAIT)
    rested = ran("coder", Readiness.BLOCKED, runs=4, last=run(ended_at=NOW), owed_by_decision=9)

    assert isinstance(decide(snapshot(rested, decisions=(answered,))), Dispatch)
