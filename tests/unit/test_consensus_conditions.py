"""The plain word for how a role is doing, and the sentence beside it."""

from dataclasses import replace

import pytest

from models.consensus.conditions import condition
from models.consensus.policy import CheckPolicy
from models.consensus.settled import unmade, unsettled_reason
from models.consensus.snapshot import RoleView, Snapshot
from models.states import CheckStatus, Failure, MergeStatus, PhaseStatus, Readiness
from tests.factories import check, fresh, ran, ready, run, running, snapshot, unready


def word(view: RoleView, **changes: object) -> str:
    phase = replace(snapshot(view), **changes)  # type: ignore[arg-type]
    return condition(phase, phase.roles[0])


def starting(view: RoleView) -> RoleView:
    live = running(view).live
    assert live is not None
    return replace(view, live=replace(live, is_started=False))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Failure.PROCESS_FAILURE, "failed"),
        (Failure.PROGRAM_MISSING, "cannot start"),
        (Failure.TIMEOUT, "timed out"),
        (Failure.STOPPED, "stopped"),
    ],
)
def test_a_role_that_failed_is_not_shown_as_working(kind: Failure, words: str) -> None:
    assert word(unready("coder", run(1, failure=kind))) == words


def test_a_role_that_is_silent_again_and_again_has_no_verdict() -> None:
    assert word(unready("coder", *(run(n, owes_verdict=True) for n in (1, 2, 3)))) == "no verdict"


def test_a_role_that_is_tried_again_by_itself_says_so() -> None:
    assert word(unready("coder", run(1, failure=Failure.LOST))) == "to retry"


def test_what_is_over_is_not_tried_again() -> None:
    over = unready("coder", run(1, failure=Failure.LOST))

    assert word(over, status=PhaseStatus.CANCELLED) == "stopped"


def test_a_role_is_starting_before_it_works() -> None:
    assert word(starting(fresh("coder"))) == "starting"
    assert word(running(fresh("coder"))) == "WORKING"


def test_a_role_that_is_to_start_waits_for_nobody() -> None:
    phase = snapshot(starting(fresh("coder")))

    assert unsettled_reason(phase, phase.roles[0]) == "is about to start"


def test_a_role_that_waited_for_one_that_is_gone_is_about_to_start() -> None:
    phase = snapshot(ran("tester", Readiness.BLOCKED, blocked_on="coder"))

    assert unsettled_reason(phase, phase.roles[0]) == (
        "is about to start, since coder, whom it waited for, is no longer part of the phase"
    )


def test_a_verdict_stands_as_it_was_said() -> None:
    assert [word(ready("coder")), word(ran("coder", Readiness.BLOCKED))] == ["READY", "BLOCKED"]
    assert word(running(ready("coder"), verdict=Readiness.READY)) == "READY"


def test_a_role_whose_turn_has_not_come_has_not_started() -> None:
    assert word(fresh("coder")) == "not started"


def test_a_role_the_phase_goes_on_without_is_left_out() -> None:
    assert word(fresh("coder", is_dropped=True)) == "left out"


def blocked(merge: MergeStatus, **changes: object) -> Snapshot:
    """A tester BLOCKED on a coder that has said READY since."""
    tester = replace(ran("tester", Readiness.BLOCKED, blocked_on="coder"), **changes)  # type: ignore[arg-type]
    return snapshot(tester, ready("coder", version=1, merge=merge))


def why(phase: Snapshot) -> str | None:
    return unsettled_reason(phase, phase.by_name["tester"])


def test_nobody_is_said_to_be_blocked_whose_condition_has_come() -> None:
    assert why(blocked(MergeStatus.MERGED)) == "is about to start, since coder, whom it waited for, is READY"


def test_nobody_is_said_to_be_blocked_whose_run_has_begun() -> None:
    begun = blocked(MergeStatus.MERGED)
    tester = begun.by_name["tester"]

    assert why(snapshot(running(tester), begun.by_name["coder"])) == "is WORKING"
    assert why(snapshot(starting(tester), begun.by_name["coder"])) == (
        "is about to start, since coder, whom it waited for, is READY"
    )


def test_who_waits_for_a_merge_says_so() -> None:
    assert why(blocked(MergeStatus.MERGING)) == "waits until version 1 of coder is merged"


def test_the_merge_and_the_check_that_are_missing_are_named() -> None:
    phase = snapshot(
        ready("coder", version=2, merge=MergeStatus.MERGING), check_policy=CheckPolicy("make test")
    )

    assert unmade(phase) == ("the merge of coder's version 2", "the check after it")


def test_the_merge_of_a_version_that_was_replaced_since_is_missing_too() -> None:
    assert unmade(snapshot(ready("coder", version=2), is_superseded_merging=True)) == (
        "the merge of a version that its role has replaced since",
    )


def test_nothing_is_missing_once_the_check_is_green() -> None:
    phase = snapshot(ready("coder"), check_policy=CheckPolicy("make test"), check=check(CheckStatus.GREEN))

    assert unmade(phase) == ()
