"""How the end of a run reads."""

import pytest

from models.consensus import endings
from models.consensus.decide import decide
from models.consensus.policy import OnFailure
from models.consensus.step import Ask, Fail
from models.states import Failure
from tests.factories import policy, run, snapshot, unready


def how(**ended: object) -> str:
    given = {
        "failure": Failure.PROCESS_FAILURE,
        "exit_code": None,
        "signal": None,
        "error": "",
        "is_named": False,
    }
    return endings.how(**{**given, **ended})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"exit_code": 1}, "exit code 1"),
        ({"exit_code": 1, "error": "disk full"}, "exit code 1; it said: disk full"),
        ({"exit_code": 127}, "exit code 127 (as shells say it: it called a program that is not there)"),
        ({"exit_code": 126}, "exit code 126 (as shells say it: it called a program that cannot be run)"),
        ({"signal": 11}, "killed by signal 11 (SIGSEGV)"),
        ({"signal": 9}, "killed by signal 9 (SIGKILL), often because there was not enough memory"),
        ({"signal": 40}, "killed by signal 40"),
        ({}, "it, its worker or its machine was gone"),
        ({"failure": Failure.PROGRAM_MISSING, "error": "not executable: a.sh"}, "not executable: a.sh"),
        ({"failure": Failure.STOPPED, "signal": 15, "is_named": True}, ""),
        (
            {"failure": Failure.QUOTA, "exit_code": 1, "error": "5 hours", "is_named": True},
            "it said: 5 hours",
        ),
    ],
)
def test_how_a_process_ended_is_said_in_words(ended: dict[str, object], words: str) -> None:
    assert how(**ended) == words


def test_an_exit_code_that_stands_for_a_signal_is_explained() -> None:
    assert "signal 9 (SIGKILL), often because there was not enough memory" in how(exit_code=137)


def test_a_question_about_a_failure_says_class_exit_code_and_what_was_written_last() -> None:
    crashed = run(1, failure=Failure.PROCESS_FAILURE, how="exit code 1", last_line="KeyError: 'api_key'")

    asked = decide(snapshot(unready("coder", crashed)))

    assert isinstance(asked, Ask)
    assert asked.question == (
        "coder failed (run 1): exit code 1. What now? It wrote last: KeyError: 'api_key'"
    )


def test_the_end_of_a_phase_by_policy_says_the_same() -> None:
    crashed = run(1, failure=Failure.PROCESS_FAILURE, how="exit code 1", last_line="KeyError: 'api_key'")
    phase = snapshot(unready(policy("coder", on_failure=OnFailure.ABORT), crashed))

    assert decide(phase) == Fail("coder failed (run 1): exit code 1. It wrote last: KeyError: 'api_key'")
