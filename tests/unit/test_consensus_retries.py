"""What each class of failure is owed: a retry and when, a question, or the word of the definition."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from models.consensus.decide import decide
from models.consensus.endings import once
from models.consensus.failures import ALL_STOPPED, failed_together, stop
from models.consensus.policy import OnFailure
from models.consensus.retries import failure, ready_at
from models.consensus.snapshot import RoleView, Snapshot
from models.consensus.step import (
    ABORT,
    CONTINUE,
    RETRY,
    Ask,
    Assignment,
    Cause,
    CauseKind,
    DecisionKind,
    Dispatch,
    Drop,
    Fail,
    Wait,
)
from models.consensus.treatments import LONGEST_RETRY_AT, TREATMENTS, Pauses, believed, retries
from models.states import Failure
from tests.factories import (
    FIRST,
    LONG_AGO,
    NOW,
    decision,
    fresh,
    policy,
    ready,
    run,
    running,
    snapshot,
    unready,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def failed(*classes: Failure, on_failure: OnFailure = OnFailure.ASK, ended_at: datetime = NOW) -> RoleView:
    """A coder whose runs ended so, one after the other."""
    runs = [run(n, failure=each, ended_at=ended_at) for n, each in enumerate(classes, start=1)]
    return unready(policy("coder", on_failure=on_failure), *runs)


def free_at(phase: Snapshot, name: str = "coder") -> datetime:
    return ready_at(phase, phase.by_name[name])


@pytest.mark.parametrize("kind", Failure)
def test_every_class_of_failure_has_a_treatment_and_words(kind: Failure) -> None:
    assert TREATMENTS[kind].said


@pytest.mark.parametrize(("times", "seconds"), [(1, 10), (2, 20), (3, 40)])
@pytest.mark.parametrize("kind", [Failure.STARTUP, Failure.NETWORK, Failure.LOST])
def test_what_may_mend_itself_is_retried_three_times_with_a_back_off(
    kind: Failure, times: int, seconds: int
) -> None:
    phase = snapshot(failed(*[kind] * times))

    assert decide(phase) == Wait(f"coder {once(kind)} (run {times})", until=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("kind", [Failure.STARTUP, Failure.NETWORK, Failure.LOST])
def test_the_fourth_time_is_a_question(kind: Failure) -> None:
    asked = decide(snapshot(failed(*[kind] * 4)))

    assert isinstance(asked, Ask)
    assert TREATMENTS[kind].said in asked.question


def test_a_back_off_ends() -> None:
    assert Pauses().after(1000) == MINUTE


@pytest.mark.parametrize("kind", Failure)
def test_every_class_of_failure_has_a_floor_and_a_bound(kind: Failure) -> None:
    treatment = TREATMENTS[kind]

    assert treatment.pauses.first >= 5 * SECOND
    assert retries(snapshot(fresh("coder")).policy, kind) <= 10


@pytest.mark.parametrize(("times", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (7, 60), (10, 60)])
def test_a_role_without_quota_waits_twice_as_long_each_time_up_to_an_hour(times: int, minutes: int) -> None:
    phase = snapshot(failed(*[Failure.QUOTA] * times))

    assert free_at(phase) == NOW + timedelta(minutes=minutes)
    assert failure(phase, phase.by_name["coder"]) is None


def test_a_role_without_quota_is_tried_again_when_its_agent_said() -> None:
    out = run(1, failure=Failure.QUOTA, ended_at=NOW, retry_at=NOW + 7 * MINUTE)
    phase = snapshot(unready("coder", out))

    assert decide(phase) == Wait("coder is out of quota (run 1)", until=NOW + 7 * MINUTE)


@pytest.mark.parametrize(("times", "minutes"), [(1, 1), (2, 2), (3, 4)])
def test_an_agent_that_says_its_quota_is_back_already_is_not_believed(times: int, minutes: int) -> None:
    runs = [run(n, failure=Failure.QUOTA, ended_at=NOW, retry_at=LONG_AGO) for n in range(1, times + 1)]
    phase = snapshot(unready("coder", *runs))

    assert decide(phase) == Wait(f"coder is out of quota (run {times})", until=NOW + minutes * MINUTE)


@pytest.mark.parametrize("on_failure", [OnFailure.ASK, OnFailure.RETRY])
def test_a_person_is_asked_about_a_quota_that_does_not_come_back(on_failure: OnFailure) -> None:
    asked = decide(snapshot(failed(*[Failure.QUOTA] * 11, on_failure=on_failure)))

    assert isinstance(asked, Ask)
    assert asked.question == "coder is out of quota (run 11). What now?"


@pytest.mark.parametrize("kind", [Failure.PROCESS_FAILURE, Failure.TIMEOUT, None])
def test_what_a_definition_has_retried_waits_too(kind: Failure | None) -> None:
    runs = [run(n, failure=kind, ended_at=NOW) for n in (1, 2, 3, 4)]
    phase = snapshot(unready(policy("coder", on_failure=OnFailure.RETRY), *runs))

    verdict = decide(phase)

    assert isinstance(verdict, Wait)
    assert verdict.until is not None
    assert verdict.until >= NOW + 40 * SECOND


def test_a_run_that_was_stopped_for_no_fault_of_its_own_is_not_waited_for() -> None:
    cut_short = replace(run(1, ended_at=NOW), is_cut_short=True)

    assert free_at(snapshot(unready("coder", cut_short))) == NOW


def test_a_quota_that_is_back_is_used_again() -> None:
    out = run(1, failure=Failure.QUOTA, ended_at=LONG_AGO)
    causes = (FIRST, Cause(CauseKind.RETRY, number=1))

    assert decide(snapshot(unready("coder", out))) == Dispatch((Assignment("coder", causes),))


def test_nothing_of_the_same_agent_starts_without_quota() -> None:
    out = run(1, failure=Failure.QUOTA, ended_at=NOW)
    coder, tester = unready(policy("coder", agent="model"), out), fresh(policy("tester", agent="model"))
    other = fresh(policy("documenter", agent="another"))

    assert decide(snapshot(coder, tester, other)) == Dispatch((Assignment("documenter", (FIRST,)),))


def test_a_role_shares_the_agent_of_its_name() -> None:
    out = run(1, failure=Failure.QUOTA, ended_at=NOW)
    phase = snapshot(unready("coder", out), fresh(policy("tester", agent="coder")))

    assert free_at(phase, "tester") == NOW + MINUTE


def test_another_failure_of_the_same_agent_holds_nobody_else_back() -> None:
    phase = snapshot(failed(Failure.NETWORK), fresh(policy("tester", agent="coder")))

    assert decide(phase) == Dispatch((Assignment("tester", (FIRST,)),))


def test_a_person_may_try_a_quota_at_once() -> None:
    out = run(1, failure=Failure.QUOTA, ended_at=NOW)

    assert free_at(snapshot(unready("coder", out, owed_by_decision=4))) == NOW


def test_a_failure_whose_end_is_not_known_waits_for_nothing() -> None:
    assert free_at(snapshot(unready("coder", run(1, failure=Failure.QUOTA, ended_at=None)))) == NOW


def test_an_overflow_gets_one_fresh_run_and_is_then_a_question() -> None:
    causes = (FIRST, Cause(CauseKind.RETRY, number=1))

    assert decide(snapshot(failed(Failure.CONTEXT_OVERFLOW, ended_at=LONG_AGO))) == Dispatch(
        (Assignment("coder", causes),)
    )
    asked = decide(snapshot(failed(Failure.CONTEXT_OVERFLOW, Failure.CONTEXT_OVERFLOW)))
    assert isinstance(asked, Ask)
    assert "ran out of context" in asked.question


@pytest.mark.parametrize("on_failure", [OnFailure.ASK, OnFailure.RETRY])
def test_a_wrong_credential_is_asked_about_at_once(on_failure: OnFailure) -> None:
    asked = decide(snapshot(failed(Failure.AUTH, on_failure=on_failure)))

    assert isinstance(asked, Ask)
    assert asked.question.startswith("coder was refused by its provider: its credential is missing or wrong")
    assert asked.options == (RETRY, ABORT, CONTINUE)


def test_a_wrong_credential_obeys_the_definition_that_goes_on_without_the_role() -> None:
    assert isinstance(decide(snapshot(failed(Failure.AUTH, on_failure=OnFailure.CONTINUE))), Drop)


@pytest.mark.parametrize(
    ("kind", "words"), [(Failure.STOPPED, "by a person"), (Failure.TIMEOUT, "not active")]
)
def test_who_was_stopped_is_asked_about(kind: Failure, words: str) -> None:
    asked = decide(snapshot(failed(kind)))

    assert isinstance(asked, Ask)
    assert words in asked.question


def test_the_policy_speaks_of_who_was_stopped() -> None:
    assert decide(snapshot(failed(Failure.STOPPED, on_failure=OnFailure.ABORT))) == Fail(
        "coder was stopped by a person (run 1)"
    )


def test_a_live_role_has_not_failed() -> None:
    phase = snapshot(running(failed(Failure.AUTH)))

    assert failure(phase, phase.by_name["coder"]) is None


@pytest.mark.parametrize("kind", [Failure.QUOTA, Failure.AUTH, Failure.LOST, Failure.STOPPED])
def test_what_is_not_the_agents_own_failure_never_stops_the_phase(kind: Failure) -> None:
    rules = policy("tester")
    phase = snapshot(failed(kind), unready(rules, run(1, failure=Failure.PROCESS_FAILURE, ended_at=NOW)))

    assert failed_together(phase) == ()


def crashed(name: str, **changes: object) -> RoleView:
    last = run(1, failure=Failure.PROCESS_FAILURE, ended_at=NOW, how="exit code 1")
    return unready(name, replace(last, **changes))  # type: ignore[arg-type]


def test_agents_that_failed_together_are_asked_about_in_one_question() -> None:
    phase = snapshot(crashed("coder"), crashed("tester"), crashed("linter", how="exit code 2"))

    asked = stop(phase)

    assert isinstance(asked, Ask)
    assert asked.question == (
        "coder failed (run 1): exit code 1; likewise tester; linter failed (run 1): exit code 2. "
        f"{ALL_STOPPED} What now?"
    )
    assert decide(phase) == asked


def test_who_was_asked_about_agents_that_failed_together_is_waited_for() -> None:
    asked = decision("failures:2", "coder", number=3, kind=DecisionKind.FAILURES)

    waits = stop(snapshot(crashed("coder"), crashed("tester"), decisions=(asked,)))

    assert waits == Wait("a person's answer to decision 3: agents failed together", on_person=True)


def test_an_order_to_run_again_is_a_cause_for_a_role_that_is_settled() -> None:
    ordered = ready("coder", owed_by_decision=4)
    phase = snapshot(
        ordered, fresh("tester"), decisions=(decision("order:1", "coder", number=4, resolution=RETRY),)
    )

    assert decide(phase) == Dispatch(
        (
            Assignment("coder", (Cause(CauseKind.RETRY, "decision", 4),)),
            Assignment("tester", (FIRST,)),
        )
    )


def test_no_agent_is_believed_that_names_a_moment_beyond_reason() -> None:
    assert believed(NOW + MINUTE, now=NOW) == NOW + MINUTE
    assert believed(LONG_AGO, now=NOW) == NOW
    assert believed(NOW + timedelta(days=900), now=NOW) == NOW + LONGEST_RETRY_AT


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_person_is_waited_for_after_failures_only_when_an_earlier_run_is_safe(is_closed: bool) -> None:
    both = decision("failures:2", number=3, kind=DecisionKind.FAILURES)
    phase = snapshot(fresh("coder", last=run(0, is_closed=is_closed)), decisions=(both,))

    assert decide(phase) == Wait(
        "a person's answer to decision 3: agents failed together", on_person=is_closed
    )
