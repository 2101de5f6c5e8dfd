"""When a role is settled and when everybody agrees."""

from dataclasses import replace

import pytest

from models.consensus.decide import decide
from models.consensus.policy import CheckPolicy
from models.consensus.settled import check_owner, has_consensus, unsettled_reason
from models.consensus.snapshot import Snapshot
from models.consensus.step import Close
from models.states import CheckStatus, MergeStatus, ObjectionStatus, Readiness, StopReason
from tests.factories import (
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
CHECKED = CheckPolicy("make test")


def reason(phase: Snapshot, name: str = "coder") -> str | None:
    return unsettled_reason(phase, phase.by_name[name])


def test_a_ready_role_is_settled() -> None:
    assert reason(snapshot(ready("coder"))) is None


def test_a_role_that_has_not_run_is_not_settled() -> None:
    assert reason(snapshot(fresh("coder"))) == "has not started"


def test_a_role_whose_agent_works_is_not_settled() -> None:
    assert reason(snapshot(running(fresh("coder")))) == "is WORKING"


def test_a_blocked_role_is_not_settled() -> None:
    assert reason(snapshot(ran("coder", Readiness.BLOCKED))) == "is BLOCKED"


def test_a_blocked_role_names_whom_it_waits_for() -> None:
    phase = snapshot(ran("tester", Readiness.BLOCKED, blocked_on="coder"), fresh("coder"))

    assert reason(phase, "tester") == "is BLOCKED on coder"


def test_an_objecting_role_is_not_settled() -> None:
    phase = snapshot(
        ready("coder"), ran(REVIEWER, Readiness.OBJECTING), objections=(objection("tester", "coder"),)
    )

    assert reason(phase, "tester") == "is OBJECTING to coder's version 1 (objection 1)"


def test_a_role_all_of_whose_objections_were_overruled_counts_as_ready() -> None:
    overruled = objection("tester", "coder", ObjectionStatus.OVERRULED)
    phase = snapshot(
        ready("coder"), ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1}), objections=(overruled,)
    )

    assert reason(phase, "tester") is None


def test_one_overruled_objection_does_not_settle_a_role_with_another() -> None:
    overruled = objection("tester", "coder", ObjectionStatus.OVERRULED)
    phase = snapshot(
        ready("coder"),
        ran(REVIEWER, Readiness.OBJECTING, seen={"coder": 1}),
        objections=(overruled, objection("tester", "coder", number=2)),
    )

    assert reason(phase, "tester") == "is OBJECTING to coder's version 1 (objection 2)"


def test_a_reviewer_that_has_not_seen_the_latest_version_is_stale() -> None:
    phase = snapshot(ready("coder", version=2), ready(REVIEWER, seen={"coder": 1}))

    assert reason(phase, "tester") == "has a stale READY: it has not seen coder's version 2"


def test_a_role_does_not_go_stale_by_what_it_does_not_review() -> None:
    phase = snapshot(ready("coder", version=2), ready("tester"))

    assert reason(phase, "tester") is None


def test_a_dropped_role_makes_nobody_stale() -> None:
    phase = snapshot(ready("coder", version=2, is_dropped=True), ready(REVIEWER, seen={"coder": 1}))

    assert reason(phase, "tester") is None


def test_a_role_with_an_open_objection_against_it_is_not_settled() -> None:
    phase = snapshot(ready("coder"), ready(REVIEWER), objections=(objection("tester", "coder"),))

    assert reason(phase) == "has to answer objection 1 by tester"


def test_a_role_whose_answer_was_not_judged_is_not_settled() -> None:
    answered = objection("tester", "coder", ObjectionStatus.ANSWERED)
    phase = snapshot(ready("coder"), ready(REVIEWER), objections=(answered,))

    assert reason(phase) == "waits for tester's word on its answer to objection 1"


def test_a_role_whose_version_conflicts_is_not_settled() -> None:
    phase = snapshot(ready("coder", merge=MergeStatus.CONFLICTED, conflict_paths=("a.py", "b.py")))

    assert reason(phase) == "has a conflict of version 1 with the work branch in a.py, b.py"


def test_the_owner_of_a_red_check_is_not_settled() -> None:
    phase = snapshot(ready("coder"), check_policy=CHECKED, check=check(CheckStatus.RED))

    assert reason(phase) == "owns the red check on c0ffee0000"


def test_a_red_check_leaves_the_others_settled() -> None:
    phase = snapshot(ready("coder"), ready("tester"), check_policy=CHECKED, check=check(CheckStatus.RED))

    assert reason(phase, "tester") is None


def test_a_ready_does_not_cover_a_later_run_that_ended_without_its_verdict() -> None:
    phase = snapshot(ready("coder", trailing=(run(2),)))

    assert reason(phase) == "owes a verdict since its run 2"


def test_a_later_run_that_owed_nothing_leaves_a_ready_standing() -> None:
    assert reason(snapshot(ready("coder", trailing=(run(2, owes_verdict=False),)))) is None


def test_a_verdict_that_was_owed_is_given_before_its_run_ends() -> None:
    phase = snapshot(running(ready("coder", trailing=(run(2),)), verdict=Readiness.READY))

    assert reason(phase) is None


def test_the_named_owner_mends_a_red_check() -> None:
    phase = snapshot(
        ready("coder"), ready("tester"), check_policy=CheckPolicy("x", "tester"), tip_owner="coder"
    )

    assert check_owner(phase) is phase.by_name["tester"]


def test_a_check_without_an_owner_falls_to_the_role_merged_last() -> None:
    phase = snapshot(ready("coder"), ready("tester"), check_policy=CHECKED, tip_owner="tester")

    assert check_owner(phase) is phase.by_name["tester"]


def test_a_check_whose_owner_was_dropped_falls_to_the_first_required_role() -> None:
    phase = snapshot(
        ready(policy("linter", required=False)),
        ready("coder"),
        ready("tester", is_dropped=True),
        check_policy=CheckPolicy("x", "tester"),
        tip_owner="tester",
    )

    assert check_owner(phase) is phase.by_name["coder"]


def test_a_phase_without_a_check_has_an_owner_all_the_same() -> None:
    phase = snapshot(ready("coder"))

    assert check_owner(phase) is phase.by_name["coder"]


def test_everybody_settled_is_consensus() -> None:
    phase = snapshot(ready("coder"), ready(REVIEWER, seen={"coder": 1}))

    assert decide(phase) == Close(StopReason.CONSENSUS)


def test_consensus_does_not_wait_for_advisory_roles() -> None:
    phase = snapshot(ready("coder"), running(fresh(policy("linter", required=False))))

    assert decide(phase) == Close(StopReason.CONSENSUS)


def test_consensus_does_not_wait_for_live_runs_that_have_spoken() -> None:
    phase = snapshot(running(ready("coder"), verdict=Readiness.READY))

    assert decide(phase) == Close(StopReason.CONSENSUS)


def test_consensus_cancels_a_question_by_not_waiting_for_it() -> None:
    phase = snapshot(ready("coder"), decisions=(decision("stall:1:0", "coder"),))

    assert decide(phase) == Close(StopReason.CONSENSUS)


@pytest.mark.parametrize("merge", [MergeStatus.PENDING, MergeStatus.MERGING, MergeStatus.CONFLICTED])
def test_there_is_no_consensus_while_an_advisory_version_is_not_merged(merge: MergeStatus) -> None:
    phase = snapshot(ready("coder"), ready(policy("linter", required=False), merge=merge))

    assert not has_consensus(phase)


def test_there_is_no_consensus_with_an_objection_between_advisory_roles() -> None:
    roles = (ready(policy(name, required=False)) for name in ("linter", "stylist"))
    phase = snapshot(ready("coder"), *roles, objections=(objection("linter", "stylist"),))

    assert not has_consensus(phase)


def test_there_is_no_consensus_without_a_required_role() -> None:
    assert not has_consensus(snapshot(ready(policy("linter", required=False))))


def test_there_is_no_consensus_without_a_required_role_that_failed() -> None:
    assert not has_consensus(snapshot(ready("coder"), unready("tester", run())))


@pytest.mark.parametrize("status", [None, *CheckStatus])
def test_consensus_needs_the_check_green_on_the_tip(status: CheckStatus | None) -> None:
    whole = snapshot(ready("coder"), check_policy=CHECKED)

    phase = replace(whole, check=check(status) if status else None)

    assert has_consensus(phase) is (status is CheckStatus.GREEN)


def test_a_conflict_is_named_before_what_else_keeps_a_role_from_being_settled() -> None:
    phase = snapshot(ran("coder", Readiness.BLOCKED, merge=MergeStatus.CONFLICTED, conflict_paths=("a.py",)))

    assert reason(phase) == "has a conflict of version 0 with the work branch in a.py, and is BLOCKED"


def test_a_conflict_in_very_many_paths_names_ten() -> None:
    paths = tuple(f"{number}.py" for number in range(12))
    phase = snapshot(ready("coder", merge=MergeStatus.CONFLICTED, conflict_paths=paths))

    assert str(reason(phase)).endswith("8.py, 9.py and 2 more")
