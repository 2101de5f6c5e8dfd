"""`egg pipeline rebase` and what is said of Retry and of an end, against a server that answers as told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cli import report
from cli.watch_screen import standing
from tests.unit.cli_samples import DECISION, PHASES, PIPELINE, STATUS
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]

NOTE = "Retry works on the base as it was: `egg pipeline rebase demo-1`, `egg pipeline rerun demo-1`"
REBASE = {
    "id": 7,
    "status": "merging",
    "commit": "c" * 40,
    "merge_commit": None,
    "conflict_paths": [],
    "why": "",
}


@pytest.fixture(autouse=True)
def _on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)


def comes_to(server: Scripted, *, asked: object = None, **end: object) -> None:
    """Have the server take a wish, and tell of its end when it is asked for the second time."""
    server.say(200, "", data={"pipeline": PIPELINE})
    server.say(202, "", data={"rebase": REBASE})
    server.say(200, "", data=STATUS | {"rebase": REBASE})
    decisions = [asked] if asked else []
    server.say(200, "", data=STATUS | {"rebase": REBASE | end, "pending_decisions": decisions})


def test_it_waits_until_the_base_is_merged_and_says_where(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    comes_to(server, status="merged", merge_commit="d" * 40)

    code = egg("pipeline", "rebase", "demo-1")

    assert code == 0
    assert f"at {'c' * 10} is merged into the work branch of demo-1, at {'d' * 10}" in capsys.readouterr().err
    assert server.asked[1].path == "/api/v1/pipelines/demo-1/rebase"


def test_what_is_still_asked_after_it_is_shown(server: Scripted, egg: Egg, capsys: Captured) -> None:
    comes_to(server, status="merged", merge_commit="d" * 40, asked=DECISION)

    egg("pipeline", "rebase", "demo-1")

    assert f"egg decision resolve {DECISION['id']}" in capsys.readouterr().err


def test_a_conflict_is_exit_3_with_the_question_and_how_to_mend_it(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    question = DECISION | {"kind": "rebase", "question": "It conflicts in a.py. What now?"}
    comes_to(server, status="conflicted", conflict_paths=["a.py"], asked=question)

    code = egg("pipeline", "rebase", "demo-1")

    said = capsys.readouterr().err
    assert (code, "It conflicts in a.py" in said) == (3, True)
    assert f"git fetch {PIPELINE['repository']} {PIPELINE['work_branch']}" in said


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_what_is_not_merged_is_exit_1_with_the_reason(
    server: Scripted, egg: Egg, capsys: Captured, end: str
) -> None:
    comes_to(server, status=end, why="no branch `main`")

    code = egg("pipeline", "rebase", "demo-1")

    assert (code, "no branch `main`" in capsys.readouterr().err) == (1, True)


def test_a_refusal_is_the_servers_sentence(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"pipeline": PIPELINE})
    server.say(409, "demo-1 is complete: egg pipeline rerun demo-1")

    code = egg("pipeline", "rebase", "demo-1")

    assert (code, capsys.readouterr().err) == (1, "error: demo-1 is complete: egg pipeline rerun demo-1\n")


def test_as_json_it_is_the_rebase_as_it_ended(server: Scripted, egg: Egg, capsys: Captured) -> None:
    comes_to(server, status="merged", merge_commit="d" * 40)

    egg("pipeline", "rebase", "demo-1", "--json")

    assert json.loads(capsys.readouterr().out)["rebase"]["status"] == "merged"


def test_a_question_with_retry_is_shown_with_the_two_commands_below_it() -> None:
    shown = str(report.question(DECISION | {"note": NOTE, "pipeline_id": "demo-1"})).splitlines()

    assert "Retry keeps the base as it was" in shown[-3]
    assert "egg pipeline rebase demo-1" in shown[-2]
    assert "egg pipeline rerun demo-1" in shown[-1]


def test_the_screen_shows_the_two_commands_below_the_question() -> None:
    asked = DECISION | {"note": NOTE, "pipeline_id": "demo-1"}
    lines = [str(each) for each in standing(STATUS | {"pending_decisions": [asked]}).renderables]

    assert any("egg pipeline rebase demo-1" in line for line in lines)


def test_an_end_without_convergence_says_how_its_work_is_gone_on_with() -> None:
    ended = [PHASES[-1] | {"stop_reason": "max_iterations"}]
    messages = {"total": 0, "by_type": {}}

    with_way = str(report.write(PIPELINE, ended, messages, now=datetime.now(UTC)))
    without = str(report.write(PIPELINE, PHASES, messages, now=datetime.now(UTC)))

    assert "egg pipeline rerun demo-1 --set base=egg/demo-1" in with_way
    assert "--set base" not in without


def test_the_report_says_which_one_it_repeats_and_which_ones_repeat_it() -> None:
    messages = {"total": 0, "by_type": {}}
    told = PIPELINE | {"rerun_of": "shop", "is_rerun_of_deleted": True, "reruns": ["shop-3", "shop-4"]}
    told |= {"rebase": REBASE | {"status": "merged", "merge_commit": "d" * 40}}

    text = str(report.write(told, PHASES, messages, now=datetime.now(UTC)))

    assert "Rerun of shop, now deleted." in text
    assert "The base came in anew at cccccccccc." in text
    assert "Run again as shop-3, shop-4." in text
