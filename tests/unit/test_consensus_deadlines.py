"""What a phase run's time does to it: agents are asked, then stopped, and a person is asked."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from models.consensus.deadlines import extended, is_over, moments
from models.consensus.decide import decide
from models.consensus.policy import CheckPolicy
from models.consensus.settled import unsettled_reason
from models.consensus.snapshot import Deadlines, RoleView, Snapshot
from models.consensus.step import (
    ABORT,
    ACCEPT,
    CONTINUE_WAITING,
    Advance,
    Ask,
    Close,
    Converge,
    DecisionKind,
    Dispatch,
    Integrate,
    Nudge,
    RunCheck,
    StopRun,
    Wait,
)
from models.states import CheckStatus, Failure, MergeStatus, PhaseStatus, Readiness, StopReason
from tests.factories import (
    LONG_AGO,
    NOW,
    check,
    decision,
    fresh,
    policy,
    ready,
    run,
    running,
    snapshot,
    unready,
)

SOON = NOW + timedelta(minutes=2)
CONVERGING = Deadlines(soft=LONG_AGO, converge_at=LONG_AGO, hard=SOON)
OVER = replace(CONVERGING, hard=NOW)
ASKED = decision("deadline:1", kind=DecisionKind.DEADLINE)
REVIEWER = policy("tester", reviews=["coder"])
STALE = (ready("coder", version=2), ready(REVIEWER, seen={"coder": 1}))


def at_work(deadlines: Deadlines = CONVERGING, **changes: object) -> Snapshot:
    """A phase with one agent at work."""
    return snapshot(running(fresh("coder")), deadlines=deadlines, **changes)  # type: ignore[arg-type]


def doing_nothing(since: datetime, **changes: object) -> Snapshot:
    """A phase whose only agent was last active then."""
    view = running(fresh("coder"))
    assert view.live is not None
    live = replace(view.live, active_at=since, **changes)  # type: ignore[arg-type]
    return snapshot(replace(view, live=live), deadlines=Deadlines(soft=NOW + timedelta(hours=3)))


def cut_short(*, is_cut_short: bool) -> RoleView:
    """A role that three times ended without a verdict, the last time perhaps since the time was up."""
    ended = [run(number) for number in (1, 2, 3)]
    ended[-1] = replace(ended[-1], is_cut_short=is_cut_short)
    return unready("coder", *ended)


def test_at_the_soft_deadline_agents_are_asked_to_converge() -> None:
    assert decide(at_work(Deadlines(soft=NOW))) == Converge()


def test_before_it_they_work_and_the_phase_is_looked_at_again_then() -> None:
    verdict = decide(at_work(Deadlines(soft=SOON)))

    assert verdict == Wait("coder is WORKING", until=SOON)


def test_while_the_phase_converges_that_is_said_with_the_end() -> None:
    verdict = decide(at_work())

    assert verdict == Wait("coder is WORKING; the phase converges until 12:02:00 UTC", until=SOON)


def test_a_stale_ready_is_enough_while_the_phase_converges() -> None:
    assert decide(snapshot(*STALE, deadlines=CONVERGING)) == Close(StopReason.CONVERGED)


def test_a_stale_ready_is_not_enough_before() -> None:
    verdict = decide(snapshot(*STALE, deadlines=Deadlines(soft=SOON)))

    assert isinstance(verdict, Dispatch)


def test_agreement_without_staleness_is_consensus_while_the_phase_converges() -> None:
    assert decide(snapshot(ready("coder"), deadlines=CONVERGING)) == Close(StopReason.CONSENSUS)


def test_a_stale_ready_alone_makes_nobody_due_while_the_phase_converges() -> None:
    phase = snapshot(*STALE, running(fresh("documenter")), deadlines=CONVERGING)

    assert isinstance(decide(phase), Wait)
    assert unsettled_reason(phase, phase.roles[1]) is None


def test_a_check_that_is_not_green_is_not_forgiven() -> None:
    phase = snapshot(*STALE, deadlines=CONVERGING, check_policy=CheckPolicy("make test"))

    assert isinstance(decide(phase), RunCheck)
    assert decide(replace(phase, check=check(CheckStatus.GREEN))) == Close(StopReason.CONVERGED)


def test_at_the_hard_deadline_a_person_is_asked() -> None:
    assert decide(at_work(OVER)) == Ask(
        "deadline:1",
        DecisionKind.DEADLINE,
        "implement has not come to its end in its time: coder is WORKING. What now?",
        (CONTINUE_WAITING, ACCEPT, ABORT),
        ABORT,
    )


def test_after_continue_waiting_the_next_hard_deadline_is_another_question() -> None:
    answered = decision("deadline:1", kind=DecisionKind.DEADLINE, resolution=CONTINUE_WAITING)

    verdict = decide(at_work(OVER, decisions=(answered,)))

    assert isinstance(verdict, Ask)
    assert verdict.key == "deadline:2"


def test_while_agents_stop_the_phase_waits_for_them_and_for_a_person() -> None:
    verdict = decide(at_work(OVER, decisions=(ASKED,), unclosed_runs=1))

    assert verdict == Wait("a person's answer to decision 1: the time is up", on_person=False)


@pytest.mark.parametrize("unsafe", [True, False])
def test_once_all_is_quiet_only_a_person_is_waited_for(unsafe: bool) -> None:
    phase = snapshot(
        unready("coder", run(is_closed=not unsafe), is_dropped=False), deadlines=OVER, decisions=(ASKED,)
    )

    verdict = decide(phase)

    assert verdict == Wait("a person's answer to decision 1: the time is up", on_person=not unsafe)


def test_what_was_said_in_the_last_grace_is_merged_and_closes_the_phase() -> None:
    version = ready("coder", merge=MergeStatus.PENDING)

    assert isinstance(decide(snapshot(version, deadlines=OVER, decisions=(ASKED,))), Integrate)
    assert decide(snapshot(*STALE, deadlines=OVER, decisions=(ASKED,))) == Close(StopReason.CONVERGED)


def test_the_check_of_a_new_tip_is_run_after_the_hard_deadline_and_an_interrupted_one_is_not() -> None:
    phase = snapshot(
        ready("coder"), deadlines=OVER, decisions=(ASKED,), check_policy=CheckPolicy("make test")
    )

    assert isinstance(decide(phase), RunCheck)
    assert isinstance(decide(replace(phase, check=check(CheckStatus.ERROR, errors=1))), Wait)


def test_an_answer_to_the_hard_deadline_ends_the_phase() -> None:
    accepted = decision("deadline:1", kind=DecisionKind.DEADLINE, resolution=ACCEPT)

    assert decide(at_work(OVER, decisions=(accepted,))) == Close(StopReason.ACCEPTED)


def test_time_does_not_count_while_a_phase_closes() -> None:
    assert decide(at_work(OVER, status=PhaseStatus.CLOSING)) == Advance()


def test_time_does_not_count_while_only_a_person_is_waited_for() -> None:
    blocked = fresh("coder", state=Readiness.BLOCKED, dispatched=1, runs=1, last=run())
    blocked = replace(blocked, handled=frozenset(running(blocked).handled))
    phase = snapshot(blocked, deadlines=Deadlines(soft=SOON), decisions=(decision("stall:1:0", "coder"),))

    assert decide(phase) == Wait("a person's answer to decision 1", until=None, on_person=True)


def test_a_run_that_the_time_cut_short_is_not_counted_against_its_role() -> None:
    counted = decide(snapshot(cut_short(is_cut_short=False)))
    recovered = decide(snapshot(cut_short(is_cut_short=True)))

    assert isinstance(counted, Ask)
    assert isinstance(recovered, Dispatch)


def test_an_agent_that_does_nothing_for_too_long_is_asked_to_converge() -> None:
    assert decide(doing_nothing(LONG_AGO)) == Nudge("coder")


def test_one_that_did_something_is_looked_at_when_it_may_be_idle() -> None:
    since = NOW - timedelta(minutes=10)

    verdict = decide(doing_nothing(since))

    assert verdict == Wait("coder is WORKING", until=since + timedelta(minutes=60))


def test_one_that_was_asked_has_time_to_answer() -> None:
    verdict = decide(doing_nothing(LONG_AGO - timedelta(minutes=2), converge_at=NOW - timedelta(minutes=1)))

    assert verdict == Wait("coder is WORKING", until=SOON)


def test_one_that_does_nothing_about_it_is_stopped() -> None:
    since = LONG_AGO - timedelta(minutes=3)

    verdict = decide(doing_nothing(since, converge_at=NOW - timedelta(minutes=3)))

    assert verdict == StopRun("coder", Failure.TIMEOUT)


def test_to_be_asked_before_it_was_idle_does_not_count() -> None:
    assert decide(doing_nothing(LONG_AGO, converge_at=LONG_AGO)) == Nudge("coder")


def test_one_that_is_being_stopped_is_not_idle() -> None:
    assert isinstance(decide(doing_nothing(LONG_AGO, is_stopping=True)), Wait)


def test_a_person_is_asked_about_one_that_was_stopped_for_doing_nothing() -> None:
    verdict = decide(snapshot(unready("coder", run(failure=Failure.TIMEOUT))))

    assert isinstance(verdict, Ask)
    assert verdict.question == "coder was not active for too long and was stopped (run 1). What now?"


@pytest.mark.parametrize(
    ("now", "hard"),
    [
        (NOW, NOW + timedelta(minutes=3)),
        (NOW + timedelta(minutes=2), NOW + timedelta(minutes=5)),
        (NOW + timedelta(minutes=5), NOW + timedelta(minutes=6)),
    ],
)
def test_a_verdict_extends_the_hard_deadline_up_to_twice_its_time(now: datetime, hard: datetime) -> None:
    first = NOW + timedelta(minutes=3)

    assert extended(first, soft=NOW, now=now, policy=at_work().policy) == hard


def test_a_late_convergence_is_never_cut() -> None:
    assert extended(SOON, soft=LONG_AGO, now=NOW, policy=at_work().policy) == SOON


def test_without_deadlines_no_time_is_ever_over() -> None:
    phase = at_work(Deadlines())

    assert (is_over(phase), moments(phase)) == (False, [])
    assert decide(phase) == Wait("coder is WORKING")


def test_a_phase_that_converges_without_an_end_only_waits() -> None:
    assert decide(at_work(Deadlines(converge_at=LONG_AGO))) == Wait("coder is WORKING")
