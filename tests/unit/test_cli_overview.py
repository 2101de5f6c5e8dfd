"""What people see of all pipelines at once: status, inbox, why and watch."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import inbox, overview, watch_all_screen
from cli.overview import Overview, Stack
from cli.watch_all_screen import Watched
from tests.hostile_words import ALL_AT_ONCE, faults
from tests.unit.cli_samples import DECISION, PIPELINE, at
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]
NOW = datetime.fromisoformat(at(31, 6))

ASKED = {**DECISION, "pipeline_status": "awaiting_human", "holds": "pipeline", "deadline": at(33, 6)}
OVERVIEW: dict[str, Any] = {
    "version": "0.1.0",
    "pipelines": {"complete": 4, "running": 2, "awaiting_human": 1},
    "nodes": [{"name": "local", "places": 200, "taken": 3}],
    "waiting_runs": 1,
    "ticked_at": at(31, 4),
    "late": {"number": 0, "since": None},
    "halt": None,
    "disk": {"free_bytes": 13 * 2**30, "shortage": None},
    "questions": 2,
    "first_questions": [ASKED, {**ASKED, "id": 8}],
    "failures": [
        {
            "pipeline": "demo-1",
            "phase": "implement",
            "role": "coder",
            "number": 2,
            "failure": "process_failure",
            "text": "coder failed (run 2): exit code 3",
            "at": at(30, 6),
        }
    ],
}
PROCESS = {"name": "api", "pid": 1, "since": at(30, 0), "deaths": 0}
SEEN = Overview(
    url="http://127.0.0.1:8700",
    now=NOW,
    stack=Stack("/var/lib/egg", at(30, 6), "0.1.0", [PROCESS]),
    overview=OVERVIEW,
)


def running(number: int, **more: object) -> dict[str, Any]:
    """A pipeline that runs."""
    return {
        "id": f"shop-{number}",
        "status": "running",
        "phase": "implement",
        "iteration": 1,
        "phase_status": "running",
        "why": "coder is WORKING",
        "roles": [{"role": "coder", "state": "WORKING", "run": "running"}],
        "questions": 0,
        "first_question": None,
        "last_event": {"type": "agent.started", "role": "coder", "text": "starts", "timestamp": at(31, 0)},
        "created_at": at(30, 0),
        "started_at": at(30, 6),
        **more,
    }


def asking(number: int) -> dict[str, Any]:
    """A pipeline that waits for a person."""
    asked = {**ASKED, "pipeline_id": f"shop-{number}"}
    return running(number, status="awaiting_human", questions=2, first_question=asked)


def page(*pipelines: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    return {
        "pipelines": list(pipelines),
        "total": len(pipelines) if total is None else total,
        "halt": None,
        "next_after": None,
    }


def shown(seen: Overview, width: int | None = None) -> list[str]:
    return [line.plain for line in overview.lines(seen, width=width)]


def drawn(watched: Watched, *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, force_terminal=False)
    with console.capture() as captured:
        console.print(watch_all_screen.draw(watched, width=width, height=height, now=NOW))
    return [line.rstrip() for line in captured.get().splitlines()]


def watched(*pipelines: dict[str, Any], total: int | None = None) -> Watched:
    return Watched().after(page(*pipelines, total=total), [], now=NOW)


def test_the_status_is_ten_lines_with_what_needs_you_and_the_command_that_answers() -> None:
    lines = shown(SEEN)

    assert len(lines) <= 10
    assert lines[0].startswith("stack      up since 2026-11-21")
    assert lines[0].endswith("(1m00s), egg 0.1.0, in /var/lib/egg")
    assert lines[1:7] == [
        "workers    all 1 processes run; last sign of life 2s ago",
        "agents     3 of 200 places taken on local; 1 waits for a place",
        "pipelines  2 running, 1 awaiting_human, 4 complete",
        (
            "needs you  decision 7 of demo-1 (its pipeline waits; Abort phase in 2m00s),"
            " and 1 more: egg decision list"
        ),
        "           coder failed (exit 1). What now?",
        '           answer: egg decision resolve 7 "Retry (respawn agent)"',
    ]
    assert lines[7:] == [
        "disk       14 GB free",
        "failures   1m00s ago demo-1: coder failed (run 2): exit code 3",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"first_questions": [], "questions": 0}, "needs you  nothing"),
        ({"failures": []}, "failures   none"),
        ({"pipelines": {}}, "pipelines  none yet; make one: egg run FILE, or egg demo"),
        ({"ticked_at": None}, "workers    none has ever run"),
        (
            {"late": {"number": 2, "since": at(29, 6)}},
            "workers    2 phases wait for a worker, for 2m00s; last sign of life 2s ago",
        ),
        (
            {"nodes": [{"name": "a", "places": 9, "taken": 3, "contained": 2}], "waiting_runs": 0},
            "agents     3 of 9 places taken on a, 2 by containers",
        ),
        ({"disk": {"free_bytes": 1, "shortage": "no room on the disk"}}, "disk       no room on the disk"),
    ],
)
def test_the_status_says_what_is_missing(changes: dict[str, Any], line: str) -> None:
    assert line in shown(replace(SEEN, overview={**OVERVIEW, **changes}))


def test_a_halt_stands_in_the_status_with_the_way_out() -> None:
    halt = {"why": "the bill", "ordered_at": at(30, 0), "lifted_at": None}

    halted = shown(replace(SEEN, overview={**OVERVIEW, "halt": halt}))

    assert any("the bill" in line and "egg stop-all --lift" in line for line in halted)


def test_a_process_that_is_dead_is_named_with_its_log() -> None:
    stack = Stack("/h", at(30, 6), "0.1.0", [PROCESS, {**PROCESS, "name": "worker-agents", "pid": None}])
    seen = replace(SEEN, stack=stack)

    assert "workers    worker-agents does not run; see: egg logs worker-agents" in shown(seen)
    assert not seen.is_well


def test_the_status_of_a_stack_that_is_down_says_how_to_start_it(
    egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EGG_ORCHESTRATOR_URL", raising=False)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))

    assert egg("status", "--json") == 1
    assert json.loads(capsys.readouterr().out)["stack"]["since"] is None
    assert shown(Overview("", NOW, Stack("/h", None, "", (), agents_without=2))) == [
        "stack      down in /h; start it: egg up",
        "agents     2 still run without it; `egg up` picks them up",
    ]


def test_the_status_of_a_server_elsewhere_is_asked_of_it(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data=OVERVIEW)

    assert egg("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["stack"], found["overview"]["questions"]) == (None, 2)
    assert server.asked[0].path == "/api/v1/overview"


def test_the_status_names_the_server_that_settings_toml_names(
    server: Scripted, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = os.environ["EGG_ORCHESTRATOR_URL"]
    (tmp_path / "settings.toml").write_text(f'[server]\nurl = "{url}"\n')
    monkeypatch.setenv("EGG_HOME", str(tmp_path))
    monkeypatch.delenv("EGG_ORCHESTRATOR_URL")
    server.say(200, "", data=OVERVIEW)

    assert egg("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["url"] == url


def test_a_server_that_is_away_makes_the_status_fail(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(503, "the database cannot be used now")

    assert egg("status", "--json") == 1
    assert json.loads(capsys.readouterr().out)["away"] == "the database cannot be used now"


def test_the_inbox_asks_for_what_waits_in_all_pipelines(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"decisions": [ASKED], "next_after": 7, "pending": 9})

    code = egg("decision", "list", "--json", "--limit", "1")

    printed = capsys.readouterr()
    assert (code, server.asked[0].path) == (0, "/api/v1/decisions?status=pending&limit=1")
    assert json.loads(printed.out)["decisions"] == [ASKED]
    assert "egg decision list --json --limit 1 --after 7" in printed.err


def test_the_inbox_says_first_line_who_waits_age_and_default() -> None:
    columns = inbox.columns(NOW)
    asked = {**ASKED, "question": "Ship it?\nThe log says:\nall is well"}

    cells = {title: show(asked) if callable(show) else asked[show] for title, show in columns.items()}

    assert cells == {
        "ID": 7,
        "PIPELINE": "demo-1",
        "WAITS": "its pipeline",
        "ASKED": "36s ago",
        "ANSWERS ITSELF": "Abort phase in 2m00s",
        "QUESTION": "Ship it? …",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"holds": "roles", "pipeline_status": "running"}, "coder waits"),
        ({"holds": "roles", "roles": ["a", "b"], "pipeline_status": "running"}, "a, b wait"),
        ({"holds": "nobody", "pipeline_status": "running"}, "nobody waits"),
        ({"pipeline_status": "paused"}, "its pipeline is paused"),
    ],
)
def test_who_waits_is_said_in_words(changes: dict[str, Any], words: str) -> None:
    assert overview.waits_for({**ASKED, **changes}) == words


def test_a_wrong_place_in_the_inbox_is_a_matter_of_usage(server: Scripted, egg: Egg) -> None:
    assert egg("decision", "list", "--after", "x") == 2
    assert server.asked == []


def test_why_of_all_has_each_pipeline_with_its_question_and_answers(
    server: Scripted, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say(200, "", data={**page(asking(1), running(2), total=9), "next_after": "shop-2"})
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    code = egg("why")

    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert code == 0
    assert lines[0] == "shop-1 is awaiting_human, phase implement: its pipeline waits"
    assert "1 more: egg why shop-1" in lines[1]
    assert lines[2] == "decision 7: coder failed (exit 1). What now?"
    assert "shop-2 is running, phase implement: coder is WORKING" in lines
    assert "egg why --after shop-2" in printed.err


def test_a_page_is_of_all_pipelines_only(server: Scripted, egg: Egg) -> None:
    assert egg("why", "demo-1", "--limit", "3") == 2
    assert server.asked == []


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (200, 8), (80, 5)])
@pytest.mark.parametrize("number", [0, 1, 5, 20, 300])
def test_all_that_runs_fits_the_terminal_and_the_rest_is_counted(
    width: int, height: int, number: int
) -> None:
    pipelines = [asking(each) if each < 7 else running(each) for each in range(number)]
    on_page = pipelines[:100]

    lines = drawn(watched(*on_page, total=number), width=width, height=height)

    heads = [line for line in lines if line.startswith(("? ", "● "))]
    left = [line for line in lines if line.startswith("… and ")]
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert left == ([f"… and {number - len(heads)} more: egg why"] if number > len(heads) else [])


def test_what_needs_you_has_its_question_and_a_command_as_far_as_there_is_room() -> None:
    lines = drawn(watched(asking(1), running(2)))

    assert lines[0] == "2 pipelines, 1 needs you"
    assert lines[2].startswith("? shop-1  implement 1m00s ●1  its pipeline waits; Abort phase in 2m00s")
    assert lines[3:5] == [
        "  ? coder failed (exit 1). What now?",
        '    egg decision resolve 7 "Retry (respawn agent)"',
    ]
    assert lines[5] == "● shop-2  implement 1m00s ●1  coder starts"
    assert "decision 7: coder failed (exit 1)" in drawn(watched(asking(1)), height=5)[2]


def test_a_command_that_would_be_cut_is_not_shown() -> None:
    long = {**ASKED, "options": ["x" * 90]}

    screen = "\n".join(drawn(watched(running(1, questions=1, first_question=long))))

    assert "egg decision get 7" in screen
    assert "decision resolve" not in screen


def test_who_has_failed_does_not_count_as_working() -> None:
    words = ("WORKING", "failed", "lost", "left out", "READY", "not started")
    roles = [{"role": word, "state": "WORKING", "condition": word, "run": None} for word in words]

    (line,) = [line for line in drawn(watched(running(1, roles=roles))) if "shop-1" in line]

    assert "●1 ✓1 ○1 ✗2 -1" in line


def test_what_has_ended_stays_for_a_while_and_then_goes() -> None:
    before = watched(running(1), running(2))
    now = page(running(2))
    assert before.missing(now) == ["shop-1"]

    ended = before.after(now, [{"id": "shop-1", "status": "failed", "why": "no\nroom"}], now=NOW)

    assert any(line.startswith("✗ shop-1 is failed: no room") for line in drawn(ended))
    later = ended.after(now, [], now=NOW + timedelta(minutes=5))
    assert not any("shop-1" in line for line in drawn(later))


def test_nobodys_words_begin_a_line_of_an_overview_like_ours() -> None:
    asked = {**ASKED, "question": ALL_AT_ONCE, "default": ALL_AT_ONCE, "options": [ALL_AT_ONCE]}
    event = {"type": "x", "role": "coder", "text": ALL_AT_ONCE, "timestamp": at(31, 0)}
    pipelines = [
        running(1, questions=1, first_question=asked, why=ALL_AT_ONCE),
        running(2, last_event=event, why=ALL_AT_ONCE),
    ]
    failure = {**OVERVIEW["failures"][0], "text": ALL_AT_ONCE}
    told = {**OVERVIEW, "first_questions": [asked], "failures": [failure]}
    ended = watched().after(page(), [{"id": "x", "status": "failed", "why": ALL_AT_ONCE}], now=NOW)

    outputs = [
        "\n".join(shown(replace(SEEN, overview=told, away=None))),
        "\n".join(shown(replace(SEEN, overview=None, away=ALL_AT_ONCE))),
        "\n".join(drawn(watched(*pipelines))),
        "\n".join(drawn(ended)),
        *(watch_all_screen.text(one) for one in pipelines),
    ]

    assert [faults(output) for output in outputs] == [[]] * len(outputs)


def test_watching_all_ends_when_nothing_runs_and_says_how_each_ended(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data=page(running(1)))
    server.say(200, "", data=page())
    server.say(200, "", data={"pipeline": {**PIPELINE, "id": "shop-1", "status": "complete"}})

    code = egg("watch")

    told = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert told == [
        "shop-1 is running, phase implement: coder is WORKING",
        "shop-1 is complete",
    ]


def test_watching_all_ends_with_3_as_soon_as_one_asks(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data=page(asking(1)))

    assert egg("watch", "--wait") == 3
    assert "egg decision resolve 7" in capsys.readouterr().err


def test_watching_nothing_says_so(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data=page())

    assert egg("watch") == 0
    assert "no pipeline runs" in capsys.readouterr().err


def test_a_server_that_goes_away_is_told_once_and_waited_for(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data=page(running(1)))
    server.say(503, "the database cannot be used now")
    server.say(200, "", data=page(running(1)))

    assert egg("watch", "--timeout", "2.5s") == 4
    printed = capsys.readouterr()
    assert printed.out.count("shop-1") == 1
    assert printed.err.count("the server is away: the database") == 1
    assert printed.err.count("the server is back") == 1
    assert "egg status" in printed.err


def test_a_moment_is_never_in_the_future() -> None:
    assert overview.age((datetime.now(UTC) + timedelta(hours=1)).isoformat(), now=datetime.now(UTC)) == "0s"
