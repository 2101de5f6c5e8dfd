"""egg result, egg pipeline extend, and what the screen and the report show of iterations."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from rich.console import Console

from cli import formatting, report
from cli.watch_screen import standing
from tests.unit.cli_samples import PHASES, PIPELINE, STATUS, at
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]

FIELDS = {
    "status": "partial",
    "summary": "two tests fail",
    "test_pass_rate": 72.0,
    "coverage": 81.5,
    "critical_issues": 1,
    "ready_for_production": False,
    "failed_tests": ["zero", "negative"],
    "issues": [],
}
FIGURES = "test_pass_rate 72, coverage 81.5, critical_issues 1, ready_for_production no, failed_tests 2"
RESULT: dict[str, Any] = {
    "id": 3,
    "phase": "implement",
    "iteration": 2,
    "role": "vas",
    "run": "0b1c2d3e-0000-4000-8000-000000000000",
    "parse_status": "submitted",
    "stands": True,
    "fields": FIELDS,
    "faults": [],
    "raw": None,
    "timestamp": at(31, 1),
}
TURN = {"iterations_used": 2, "max_iterations": 5}
LACK = "test_pass_rate is 72 by vas, at least 90 is asked for"


@pytest.fixture(autouse=True)
def _agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGG_SESSION_TOKEN", "secret")
    monkeypatch.setenv("EGG_PIPELINE_ID", "demo-1")


def test_a_result_is_submitted_as_it_is_given(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(201, "", data={"id": 3, "role": "vas", "fields": FIELDS})

    code = egg("result", "submit", '{"status": "partial"}', "--role", "vas")

    assert (code, capsys.readouterr().out) == (0, f"vas reports partial: {FIGURES}\n")
    assert server.asked[0].path == "/api/v1/pipelines/demo-1/results"
    assert server.asked[0].body == {"status": "partial", "role": "vas"}
    assert server.asked[0].authorization == "Bearer secret"


def test_every_fault_of_a_result_is_said(server: Scripted, egg: Egg, capsys: Captured) -> None:
    faults = [
        {"path": "status", "message": "is missing"},
        {"path": "coverage", "message": "must be a percentage"},
    ]
    server.say(422, "status: is missing (and 1 more fault)", details={"faults": faults})

    code = egg("result", "submit", "{}")

    assert code == 1
    assert capsys.readouterr().err == (
        "error: the result was not taken: status: is missing; coverage: must be a percentage\n"
    )


def test_a_refusal_without_faults_is_said_as_it_is(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(422, "no")

    egg("result", "submit", "{}")

    assert capsys.readouterr().err == "error: no\n"


@pytest.mark.parametrize("text", ["[1]", "{", "status: success"])
def test_a_result_that_is_no_object_is_wrong_usage(server: Scripted, egg: Egg, text: str) -> None:
    assert egg("result", "submit", text) == 2
    assert server.asked == []


def test_results_are_listed(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"results": [RESULT]})

    egg("result", "list", "demo-1", "--raw", "--json")

    assert json.loads(capsys.readouterr().out) == {"results": [RESULT], "next_after": None}
    assert server.asked[0].path == "/api/v1/pipelines/demo-1/results?raw=true"
    assert server.asked[0].authorization == "Bearer operator"


def test_a_pipeline_is_extended_by_what_is_given(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"pipeline": {"id": "demo-1", "status": "running"}})

    egg("pipeline", "extend", "demo-1", "--iterations", "2", "--minutes", "1.5")

    assert server.asked[0].body == {"iterations": 2, "minutes": 1.5}
    assert capsys.readouterr().out == "demo-1 is extended; it is running\n"


@pytest.mark.parametrize("given", [(), ("--iterations", "0"), ("--minutes", "0")])
def test_a_pipeline_is_not_extended_by_nothing(server: Scripted, egg: Egg, given: tuple[str, ...]) -> None:
    assert egg("pipeline", "extend", "demo-1", *given) == 2
    assert server.asked == []


@pytest.mark.parametrize(("size", "number"), [("1G", 2**30), ("512mib", 2**29), ("2048K", 2**21), ("99", 99)])
def test_a_quota_is_a_size_as_people_write_it(server: Scripted, egg: Egg, size: str, number: int) -> None:
    server.say(200, "", data={"pipeline": {"id": "demo-1", "status": "running"}})

    assert egg("pipeline", "quota", "demo-1", "--messages", size) == 0
    assert server.asked[0].body == {"messages": number}


@pytest.mark.parametrize("size", ["", "much", "-1", "1.5G", "1X", "9" * 40])
def test_what_is_no_size_is_refused(server: Scripted, egg: Egg, size: str) -> None:
    assert egg("pipeline", "quota", "demo-1", "--messages", size) == 2
    assert server.asked == []


def test_figures_are_one_line() -> None:
    assert formatting.figures(FIELDS) == FIGURES


def test_the_status_tells_the_iteration_the_results_and_how_the_phase_ended() -> None:
    console = Console(width=120, force_terminal=False)

    with console.capture() as captured:
        console.print(standing({**STATUS, **TURN, "stop_reason": "max_iterations", "results": [RESULT]}))

    text = captured.get()
    assert "iteration 2 of 5" in text
    assert "ended by: max_iterations" in text
    assert f"vas  partial  {FIGURES}" in text


def test_the_report_tells_the_iterations_the_results_and_what_is_lacking() -> None:
    phase = {
        **PHASES[1],
        **TURN,
        "iteration": 2,
        "ended_at": at(31, 0),
        "why": LACK,
        "results": [
            RESULT,
            {**RESULT, "role": "docs", "fields": {"status": "success", "summary": "written"}},
        ],
    }
    ended = {
        **PIPELINE,
        "status": "complete",
        "ended_at": at(31, 1),
        "why": f"implement did not converge: {LACK}",
    }

    text = report.write(ended, [phase], {"total": 0}, now=datetime.fromisoformat(at(31, 6)))

    assert f"demo-1: complete in 1m00s (implement did not converge: {LACK})" in text
    assert f"Iterations:\n  implement #2: iteration 2 of 5: {LACK}" in text
    assert f"  implement #2  vas   partial  {FIGURES}\n  implement #2  docs  success  written" in text
