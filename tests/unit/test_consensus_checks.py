"""The phase's check: when it runs, when again, and when a person is asked."""

from dataclasses import replace
from datetime import timedelta

import pytest

from models.consensus.decide import decide
from models.consensus.policy import CheckPolicy
from models.consensus.snapshot import Snapshot
from models.consensus.step import RETRY, WAIT, Ask, Cause, CauseKind, DecisionKind, RunCheck, Wait
from models.states import CheckStatus
from tests.factories import FIRST, NOW, check, decision, fresh, ready, running, snapshot

CHECKED = CheckPolicy("make test")
SHOWN = Cause(CauseKind.CHECK, number=7, round=1)


def asked(phase: Snapshot) -> Ask:
    verdict = decide(phase)
    assert isinstance(verdict, Ask)
    return verdict


def red(*, attempts: int = 1) -> Snapshot:
    coder = ready("coder", handled=frozenset({FIRST, SHOWN}))
    return snapshot(coder, check_policy=CHECKED, check=check(CheckStatus.RED, attempts=attempts))


def test_the_check_runs_when_all_else_holds() -> None:
    assert decide(snapshot(ready("coder"), check_policy=CHECKED)) == RunCheck("c0ffee0000000000")


def test_the_check_waits_until_all_else_holds() -> None:
    phase = snapshot(ready("coder"), running(fresh("tester")), check_policy=CHECKED)

    assert decide(phase) == Wait("tester is WORKING")


def test_a_running_check_is_waited_for() -> None:
    phase = snapshot(ready("coder"), check_policy=CHECKED, is_check_live=True)

    assert decide(phase) == Wait("the check of c0ffee0000")


def test_a_red_check_the_owner_left_as_it_was_runs_once_more() -> None:
    assert isinstance(decide(red()), RunCheck)


def test_a_red_check_does_not_run_again_before_its_owner_has_seen_it() -> None:
    phase = snapshot(running(ready("coder")), check_policy=CHECKED, check=check(CheckStatus.RED))

    assert decide(phase) == Wait("coder owns the red check on c0ffee0000")


def test_a_red_check_does_not_run_again_while_something_else_does_not_hold() -> None:
    phase = snapshot(
        ready("coder", handled=frozenset({FIRST, SHOWN})),
        running(fresh("tester")),
        check_policy=CheckPolicy("make test", "coder"),
        check=check(CheckStatus.RED),
    )

    assert isinstance(decide(phase), Wait)


def test_a_check_that_is_red_again_goes_to_a_person() -> None:
    question = asked(red(attempts=2))

    assert question.kind is DecisionKind.CHECK
    assert question.question == (
        "The check of c0ffee0000 is red again without a change; coder owns it. What now?"
    )
    assert question.roles == ("coder",)


def test_a_check_that_is_red_again_waits_for_its_owner_to_end() -> None:
    phase = snapshot(
        running(ready("coder", handled=frozenset({FIRST, SHOWN}))),
        check_policy=CHECKED,
        check=check(CheckStatus.RED, attempts=2),
    )

    assert isinstance(decide(phase), Wait)


@pytest.mark.parametrize(("errors", "seconds"), [(1, 10), (2, 20), (4, 10)])
def test_a_check_that_could_not_be_run_waits_longer_each_time(errors: int, seconds: int) -> None:
    broken = replace(check(CheckStatus.ERROR, errors=errors), ended_at=NOW)
    granted = decision("check:7:1:3", "coder", resolution=WAIT)
    phase = snapshot(ready("coder"), check_policy=CHECKED, check=broken, decisions=(granted,))

    verdict = decide(phase)

    assert isinstance(verdict, Wait)
    assert verdict.until == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("errors", [1, 2])
def test_a_check_that_could_not_be_run_is_tried_again(errors: int) -> None:
    phase = snapshot(ready("coder"), check_policy=CHECKED, check=check(CheckStatus.ERROR, errors=errors))

    assert isinstance(decide(phase), RunCheck)


def test_a_check_that_cannot_be_run_goes_to_a_person() -> None:
    phase = snapshot(ready("coder"), check_policy=CHECKED, check=check(CheckStatus.ERROR, errors=3))

    assert asked(phase).question == "The check of c0ffee0000 cannot be run; coder owns it. What now?"


@pytest.mark.parametrize("answer", [RETRY, WAIT])
def test_a_check_that_could_not_be_run_is_tried_again_when_a_person_says_so(answer: str) -> None:
    answered = decision("check:7:1:3", "coder", resolution=answer)
    phase = snapshot(
        ready("coder"),
        check_policy=CHECKED,
        check=check(CheckStatus.ERROR, errors=3),
        decisions=(answered,),
    )

    assert isinstance(decide(phase), RunCheck)


def test_a_check_that_cannot_be_run_is_no_question_while_somebody_works() -> None:
    phase = snapshot(
        ready("coder"),
        running(fresh("tester")),
        check_policy=CHECKED,
        check=check(CheckStatus.ERROR, errors=3),
    )

    assert isinstance(decide(phase), Wait)
