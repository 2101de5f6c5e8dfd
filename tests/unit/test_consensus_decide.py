"""The order in which the rules speak: closing, answers, merges, and what a phase waits for."""

from datetime import timedelta

import pytest

from models.consensus.decide import decide
from models.consensus.policy import PhasePolicy
from models.consensus.step import (
    ABORT,
    ACCEPT,
    CANCEL_PIPELINE,
    RETRY_PHASE,
    Advance,
    Cancel,
    Close,
    DecisionKind,
    Fail,
    Integrate,
    Restart,
    Step,
    Wait,
)
from models.states import Failure, MergeStatus, ObjectionStatus, PhaseStatus, StopReason
from tests.factories import (
    NOW,
    decision,
    fresh,
    objection,
    policy,
    ready,
    run,
    running,
    snapshot,
    unready,
)


def test_a_closing_phase_run_waits_for_its_agents_to_stop() -> None:
    phase = snapshot(running(fresh("coder")), status=PhaseStatus.CLOSING, unclosed_runs=1)

    assert decide(phase) == Wait("1 agent is stopping and its work is being saved")


def test_a_closing_phase_run_that_is_quiet_advances() -> None:
    assert decide(snapshot(fresh("coder"), status=PhaseStatus.CLOSING)) == Advance()


def test_nobody_starts_before_the_repository_is_there() -> None:
    assert decide(snapshot(fresh("coder"), tip=None)) == Wait("the repository is being prepared")


def test_a_person_may_accept_the_state_as_it_is() -> None:
    phase = snapshot(running(fresh("coder")), decisions=(decision("x", "coder", resolution=ACCEPT),))

    assert decide(phase) == Close(StopReason.ACCEPTED)


def test_a_person_may_abort_the_phase() -> None:
    phase = snapshot(running(fresh("coder")), decisions=(decision("x", "coder", resolution=ABORT),))

    assert decide(phase) == Fail("a person aborted the phase")


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (CANCEL_PIPELINE, Cancel("a person cancelled it after agents had failed")),
        (RETRY_PHASE, Restart()),
    ],
)
def test_a_person_says_what_becomes_of_agents_that_failed_together(answer: str, step: Step) -> None:
    asked = decision("failures:2", "coder", resolution=answer, kind=DecisionKind.FAILURES)

    assert decide(snapshot(fresh("coder"), decisions=(asked,))) == step


def test_an_abort_outweighs_an_acceptance() -> None:
    accepted, aborted = (decision(answer, "coder", resolution=answer) for answer in (ACCEPT, ABORT))

    assert isinstance(decide(snapshot(ready("coder"), decisions=(accepted, aborted))), Fail)


def test_a_new_version_is_merged_at_once() -> None:
    phase = snapshot(running(ready("coder", merge=MergeStatus.PENDING)), fresh("tester"))

    assert decide(phase) == Integrate("coder", 1)


def test_one_version_is_merged_at_a_time() -> None:
    phase = snapshot(ready("coder", merge=MergeStatus.MERGING), ready("tester", merge=MergeStatus.PENDING))

    assert isinstance(decide(phase), Wait)


def test_a_version_waits_while_an_older_one_of_its_role_is_merged() -> None:
    phase = snapshot(ready("coder", version=2, merge=MergeStatus.PENDING), is_superseded_merging=True)

    assert isinstance(decide(phase), Wait)


def test_the_version_of_a_dropped_role_is_not_merged() -> None:
    phase = snapshot(ready("coder"), ready("tester", merge=MergeStatus.PENDING, is_dropped=True))

    assert decide(phase) == Close(StopReason.CONSENSUS)


def test_a_wait_names_every_blocker() -> None:
    phase = snapshot(running(fresh("coder")), running(fresh("tester")))

    assert decide(phase) == Wait("coder is WORKING; tester is WORKING")


def test_a_wait_names_required_blockers_first() -> None:
    phase = snapshot(running(fresh(policy("linter", required=False))), running(fresh("coder")))

    assert decide(phase) == Wait("coder is WORKING; linter is WORKING")


def test_a_wait_with_everybody_settled_is_for_a_merge() -> None:
    phase = snapshot(ready("coder", merge=MergeStatus.MERGING))

    assert decide(phase) == Wait("the merge of coder's version 1")


def test_an_advisory_role_that_holds_up_the_phase_is_named() -> None:
    linter, stylist = policy("linter", required=False), policy("stylist", required=False)
    answered = objection("linter", "stylist", ObjectionStatus.ANSWERED)
    phase = snapshot(ready("coder"), running(ready(linter)), ready(stylist), objections=(answered,))

    assert decide(phase) == Wait("stylist waits for linter's word on its answer to objection 1")


def test_a_wait_ends_at_the_earliest_moment() -> None:
    starts = {
        name: unready(name, run(1, failure=Failure.STARTUP, ended_at=NOW - timedelta(milliseconds=ago)))
        for name, ago in (("coder", 200), ("tester", 700))
    }
    verdict = decide(snapshot(*starts.values()))

    assert isinstance(verdict, Wait)
    assert verdict.until == NOW + timedelta(seconds=9, milliseconds=300)


def test_the_same_rows_give_the_same_verdict() -> None:
    phase = snapshot(fresh("coder"), fresh("tester"))

    assert decide(phase) == decide(phase)


def test_a_phase_policy_knows_its_roles() -> None:
    tester = policy("tester")

    assert PhasePolicy("implement", (policy("coder"), tester)).role("tester") is tester


def test_a_phase_policy_does_not_know_others() -> None:
    with pytest.raises(StopIteration):
        PhasePolicy("implement", ()).role("tester")
