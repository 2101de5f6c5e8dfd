"""The gate of a phase, and what an agent's question does to it: nothing."""

from datetime import timedelta

import pytest

from models.consensus.decide import decide
from models.consensus.policy import GatePolicy
from models.consensus.snapshot import DecisionView, Snapshot
from models.consensus.step import (
    ABORT,
    ACCEPT,
    CANCEL_PIPELINE,
    RETRY_PHASE,
    Advance,
    Ask,
    Close,
    DecisionKind,
    Dispatch,
    Restart,
    Wait,
)
from models.states import PhaseStatus, Readiness, StopReason
from tests.factories import NOW, decision, fresh, ran, ready, running, snapshot

OPTIONS = ("approve", "request changes")
GATE = GatePolicy("Ship it?", OPTIONS, "approve")
KEY = "gate"


def closing(
    gate: GatePolicy = GATE,
    *decisions: DecisionView,
    stop_reason: StopReason | None = StopReason.CONSENSUS,
    unclosed_runs: int = 0,
) -> Snapshot:
    """A quiet closing phase run that ended well."""
    return snapshot(
        ready("coder"),
        gate=gate,
        status=PhaseStatus.CLOSING,
        stop_reason=stop_reason,
        decisions=decisions,
        unclosed_runs=unclosed_runs,
    )


def asked(resolution: str | None) -> DecisionView:
    return decision(KEY, number=7, resolution=resolution, kind=DecisionKind.GATE)


def test_a_gate_is_asked_once_the_phase_is_quiet() -> None:
    assert decide(closing()) == Ask(KEY, DecisionKind.GATE, "Ship it?", OPTIONS, "approve", is_free=True)


def test_a_gate_with_a_time_has_a_deadline() -> None:
    verdict = decide(closing(GatePolicy("Ship it?", OPTIONS, "approve", timedelta(minutes=30))))

    assert isinstance(verdict, Ask)
    assert verdict.deadline == NOW + timedelta(minutes=30)


def test_a_gate_is_not_asked_while_agents_stop() -> None:
    assert decide(closing(unclosed_runs=2)) == Wait("2 agents are stopping and their work is being saved")


def test_a_gate_is_not_asked_of_a_phase_that_fails() -> None:
    assert decide(closing(stop_reason=None)) == Advance()


def test_a_gate_that_is_asked_is_waited_for() -> None:
    assert decide(closing(GATE, asked(None))) == Wait("a person's answer to decision 7", on_person=True)


def test_the_first_option_lets_the_phase_go() -> None:
    assert decide(closing(GATE, asked("approve"))) == Advance()


@pytest.mark.parametrize("words", ["request changes", "rename it first", RETRY_PHASE, ABORT, ACCEPT])
def test_every_other_answer_begins_the_phase_anew(words: str) -> None:
    assert decide(closing(GATE, asked(words))) == Restart()


def test_a_question_holds_nobody_back() -> None:
    pending = decision("question:coder#1", kind=DecisionKind.QUESTION)

    assert isinstance(decide(snapshot(fresh("coder"), decisions=(pending,))), Dispatch)


def test_a_question_does_not_keep_a_phase_from_agreeing() -> None:
    pending = decision("question:coder#1", kind=DecisionKind.QUESTION)

    assert decide(snapshot(ready("coder"), decisions=(pending,))) == Close(StopReason.CONSENSUS)


def test_a_phase_that_waits_for_the_answer_to_a_question_is_not_stalled() -> None:
    pending = decision("question:coder#1", number=3, kind=DecisionKind.QUESTION)
    phase = snapshot(ran("coder", Readiness.BLOCKED), decisions=(pending,))

    assert decide(phase) == Wait("a person's answer to decision 3", on_person=True)


def test_a_question_is_not_what_is_waited_for_while_an_agent_works() -> None:
    pending = decision("question:coder#1", kind=DecisionKind.QUESTION)
    phase = snapshot(running(fresh("coder")), decisions=(pending,))

    assert decide(phase) == Wait("coder is WORKING")


@pytest.mark.parametrize("words", [ABORT, ACCEPT, RETRY_PHASE, CANCEL_PIPELINE])
def test_the_words_of_an_answered_question_are_no_order(words: str) -> None:
    answered = decision("question:coder#1", resolution=words, kind=DecisionKind.QUESTION)

    assert decide(snapshot(running(fresh("coder")), decisions=(answered,))) == Wait("coder is WORKING")


def test_an_order_accepts_the_state_as_it_is() -> None:
    order = decision("order:1", resolution=ACCEPT, kind=DecisionKind.ORDER)

    assert decide(snapshot(running(fresh("coder")), decisions=(order,))) == Close(StopReason.ACCEPTED)
