"""What people type, against a real HTTP server that answers as it is told."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli import report
from tests.unit.cli_samples import AGENT, DECISION, EVENTS, FAILURE, PHASES, PIPELINE, STATUS, SUMMARY, run
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]


def test_a_list_that_is_piped_is_one_thing_a_line(server: Scripted, egg: Egg, capsys: Captured) -> None:
    other = {**SUMMARY, "id": "a-longer-name", "current_phase": None, "started_at": None}
    server.say(200, "", data={"pipelines": [SUMMARY, other], "next_after": None})

    code = egg("pipeline", "list", "--status", "running")

    lines = [re.split(" {2,}", line)[:4] for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert lines == [
        ["demo-1", "running", "implement", "/src/shop"],
        ["a-longer-name", "running", "-", "/src/shop"],
    ]
    assert server.asked[0].path == "/api/v1/pipelines?status=running&limit=100"


def test_a_list_is_json_when_asked(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"pipelines": [SUMMARY], "next_after": None})

    egg("pipeline", "list", "--json")

    assert json.loads(capsys.readouterr().out) == {"pipelines": [SUMMARY], "next_after": None}


def test_a_list_is_a_table_with_titles_in_a_pipe_when_asked(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={"pipelines": [SUMMARY], "next_after": None})

    egg("pipeline", "list", "--table")

    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["ID", "STATUS"],
        ["demo-1", "running"],
    ]


def test_an_agents_list_in_a_pipe_is_json_as_ever(
    server: Scripted, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_SESSION_TOKEN", "agent")
    server.say(200, "", data={"decisions": [DECISION]})

    egg("decision", "list", "demo-1")

    assert json.loads(capsys.readouterr().out)["decisions"] == [DECISION]


def test_a_list_has_the_newest_first_and_goes_on_where_a_page_ended(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    runs = [{**AGENT, "run": run(number)} for number in (1, 2, 3)]
    server.say(200, "", data={"agents": runs})

    egg("agent", "list", "demo-1", "--limit", "2")
    first = capsys.readouterr()
    egg("agent", "list", "demo-1", "--limit", "2", "--after", "00000002")
    second = capsys.readouterr()

    assert [line[:8] for line in first.out.splitlines()] == ["00000003", "00000002"]
    assert first.err == "… more: egg agent list demo-1 --limit 2 --after 00000002\n"
    assert ([line[:8] for line in second.out.splitlines()], second.err) == (["00000001"], "")


def test_events_end_after_so_many_and_say_what_shows_the_next(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={"events": EVENTS[:3], "next_after": 3, "has_more": False})

    egg("events", "demo-1", "--limit", "2")
    some = capsys.readouterr()
    egg("events", "demo-1", "--limit", "3", "--json")
    whole = json.loads(capsys.readouterr().out)

    assert (len(some.out.splitlines()), some.err) == (
        2,
        "… more: egg events demo-1 --limit 2 --after 2\n",
    )
    assert (len(whole["events"]), whole["next_after"]) == (3, None)


def test_going_on_after_what_is_not_there_is_refused(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"agents": [AGENT]})

    assert egg("agent", "list", "demo-1", "--after", "7") == 1
    assert "holds no 7 to go on after" in capsys.readouterr().err


def test_the_questions_that_wait_come_first(server: Scripted, egg: Egg, capsys: Captured) -> None:
    asked = [{**DECISION, "id": number, "status": status} for number, status in WAITING.items()]
    server.say(200, "", data={"decisions": asked})

    egg("decision", "list", "demo-1")

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["2", "4", "3", "1"]


WAITING = {1: "resolved", 2: "pending", 3: "cancelled", 4: "defaulted"}


def test_jsonl_is_one_object_a_line(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"pipelines": [SUMMARY, SUMMARY], "next_after": None})

    egg("pipeline", "list", "--jsonl")

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [SUMMARY, SUMMARY]


def test_an_unknown_pipeline_is_one_sentence_and_exit_1(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(404, "there is no pipeline nope; see: egg pipeline list")

    code = egg("pipeline", "status", "nope")

    assert (code, capsys.readouterr().err) == (
        1,
        "error: there is no pipeline nope; see: egg pipeline list\n",
    )


def test_a_decision_is_resolved_by_its_id_alone(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"decision": DECISION})
    server.say(200, "", data={"decision": {**DECISION, "status": "resolved", "resolution": "Abort phase"}})

    egg("decision", "resolve", "7", "--resolution", "Abort phase")

    assert [asked.path for asked in server.asked] == [
        "/api/v1/decisions/7",
        "/api/v1/pipelines/demo-1/decisions/7/resolve",
    ]
    assert server.asked[1].body == {"resolution": "Abort phase"}
    assert capsys.readouterr().out == "decision 7 of demo-1: Abort phase\n"


def test_resolving_without_an_answer_names_the_options(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"decision": DECISION})

    code = egg("decision", "resolve", "7")

    assert code == 2
    assert '1 "Retry (respawn agent)", 2 "Abort phase", 3 "Continue without"' in capsys.readouterr().err


def test_an_agent_is_found_by_its_role_and_its_log_is_printed_to_the_end(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={"agents": [AGENT, {**AGENT, "run": run(2)}]})
    server.say(200, "", data={"text": "one\n", "next_offset": 4, "is_live": False})
    server.say(200, "", data={"text": "", "next_offset": 4, "is_live": False})

    egg("agent", "logs", "demo-1", "coder")

    assert capsys.readouterr().out == "one\n"
    assert server.asked[1].path == "/api/v1/pipelines/demo-1/agents/" + run(2) + "/logs?offset=0"


def test_that_a_log_is_empty_is_said_beside_it(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"agents": [{**AGENT, "ended_at": None}]})
    server.say(200, "", data={"text": "", "next_offset": 0, "is_live": True})

    code = egg("agent", "logs", "demo-1", "coder")

    assert (code, *capsys.readouterr()) == (0, "", "coder (run 1) wrote nothing so far\n")


def test_a_log_is_followed_until_the_run_is_over(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"agents": [AGENT]})
    server.say(200, "", data={"text": "", "next_offset": 0, "is_live": True})
    server.say(200, "", data={"text": "", "next_offset": 0, "is_live": False})
    server.say(200, "", data={"text": "the end", "next_offset": 7, "is_live": False})
    server.say(200, "", data={"text": "", "next_offset": 7, "is_live": False})

    egg("agent", "logs", "demo-1", "0b1c", "--follow")

    assert capsys.readouterr().out == "the end"


def test_an_unknown_agent_is_refused_and_the_roles_are_named(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={"agents": [AGENT]})

    code = egg("agent", "get", "demo-1", "codr")

    assert code == 1
    assert "roles that have run: coder" in capsys.readouterr().err


def test_watching_prints_each_event_and_then_the_report(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={**STATUS, "status": "running"})
    server.say(200, "", data={"events": EVENTS[:1], "next_after": 1, "has_more": False})
    server.say(200, "", data={**STATUS, "status": "failed"})
    server.say(200, "", data={"events": EVENTS[-1:], "next_after": 51, "has_more": False})
    server.say(200, "", data={**STATUS, "status": "failed"})
    server.say(200, "", data={"pipeline": {**PIPELINE, "status": "failed"}})
    server.say(200, "", data={"phases": PHASES})
    server.say(200, "", data={"total": 14, "by_type": {}})
    server.say(200, "", data={"decisions": [DECISION]})

    code = egg("watch", "demo-1")

    out = capsys.readouterr().out
    assert code == 1
    assert out.index("agent.started") < out.index("consensus.reached") < out.index("demo-1: failed")
    assert [asked.path.partition("?")[2] for asked in server.asked[1:4:2]] == [
        "after=0&wait=20",
        "after=1&wait=0",
    ]


def test_the_report_names_versions_that_change_nothing() -> None:
    pipeline = {**PIPELINE, "unchanged": ["coder's version 1"]}

    text = report.write(pipeline, PHASES, {"total": 0}, now=datetime.now(UTC))

    assert "coder's version 1 changes nothing." in text


def test_a_watch_in_which_nothing_happens_says_once_what_is_waited_for(
    server: Scripted, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.event_stream.SHORTEST_ROUND_SECONDS", 0)
    for status in ("running", "running", "cancelled", "cancelled"):
        server.say(200, "", data={**STATUS, "status": status})
        if len(server.answers) < 6:
            server.say(200, "", data={"events": [], "next_after": 0, "has_more": False})
    server.say(200, "", data={"pipeline": {**PIPELINE, "status": "cancelled"}})
    server.say(200, "", data={"phases": PHASES})
    server.say(200, "", data={"total": 14, "by_type": {}})

    code = egg("watch", "demo-1")

    assert code == 5
    assert capsys.readouterr().err.count("demo-1 waits: documenter is BLOCKED on coder") == 1


def test_a_watch_that_waits_for_a_person_is_exit_3_and_says_what_is_asked(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    asked = {**STATUS, "status": "awaiting_human", "pending_decisions": [DECISION]}
    server.say(200, "", data=asked)
    server.say(200, "", data={"events": [], "next_after": 0, "has_more": False})
    server.say(200, "", data=asked)

    code = egg("watch", "demo-1", "--wait")

    assert code == 3
    assert 'egg decision resolve 7 "Abort phase"   (default)' in capsys.readouterr().err


def test_a_question_that_was_answered_meanwhile_is_not_asked(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={**STATUS, "status": "running", "pending_decisions": [DECISION]})
    server.say(200, "", data={"events": EVENTS[:1], "next_after": 1, "has_more": False})
    server.say(200, "", data={**STATUS, "status": "running", "pending_decisions": []})
    server.say(200, "", data={**STATUS, "status": "cancelled"})
    server.say(200, "", data={"events": [], "next_after": 1, "has_more": False})
    server.say(200, "", data={**STATUS, "status": "cancelled"})
    server.say(200, "", data={"pipeline": {**PIPELINE, "status": "cancelled"}})
    server.say(200, "", data={"phases": PHASES})
    server.say(200, "", data={"total": 14, "by_type": {}})

    code = egg("watch", "demo-1")

    assert code == 5
    assert "decision 7" not in capsys.readouterr().err


def test_a_watch_that_has_lasted_long_enough_is_exit_4_and_says_how_to_come_back(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    for _ in range(3):
        server.say(200, "", data={**STATUS, "status": "running"})
        if len(server.answers) < 5:
            server.say(200, "", data={"events": [], "next_after": 0, "has_more": False})

    code = egg("watch", "demo-1", "--timeout", "0.3s")

    assert code == 4
    assert "is over: demo-1 goes on without you; see: egg watch demo-1" in capsys.readouterr().err
    assert [asked.method for asked in server.asked] == ["GET"] * 5


@pytest.mark.parametrize(
    ("kind", "resolution", "expected"),
    [("deadline", "Abort phase", 4), ("stall", "Abort phase", 1), ("deadline", "Continue waiting", 1)],
)
def test_a_pipeline_whose_phase_was_aborted_at_its_deadline_is_exit_4(
    server: Scripted, egg: Egg, kind: str, resolution: str, expected: int
) -> None:
    server.say(200, "", data={**STATUS, "status": "failed"})
    server.say(200, "", data={"events": [], "next_after": 0, "has_more": False})
    server.say(200, "", data={**STATUS, "status": "failed"})
    server.say(200, "", data={"pipeline": {**PIPELINE, "status": "failed"}})
    server.say(200, "", data={"phases": PHASES})
    server.say(200, "", data={"total": 14, "by_type": {}})
    earlier = {**DECISION, "id": 1, "kind": "deadline", "resolution": "Abort phase"}
    last = {**DECISION, "id": 12, "kind": kind, "resolution": resolution}
    server.say(200, "", data={"decisions": [last, earlier]})

    assert egg("watch", "demo-1") == expected


@pytest.mark.parametrize("time", ["0", "soon", "-3", "3 weeks", "1e3", ""])
def test_a_time_that_is_none_is_refused_with_examples(egg: Egg, capsys: Captured, time: str) -> None:
    assert egg("watch", "demo-1", "--timeout", time) == 2
    assert "30m" in capsys.readouterr().err


def test_a_run_is_stored_started_and_left_alone_when_detached(
    server: Scripted, egg: Egg, capsys: Captured, tmp_path: Path
) -> None:
    definition = tmp_path / "pipeline.yaml"
    definition.write_text(SOUND)
    server.say(201, "", data={"pipeline": {"id": "true", "status": "pending"}})

    code = egg("run", str(definition), "--detach", "--name", "true", "--set", "config.max_rounds=4")

    stored, started = server.asked
    assert (code, capsys.readouterr().out) == (0, "true\n")
    assert (stored.path, started.path) == ("/api/v1/pipelines", "/api/v1/pipelines/true/start")
    assert (stored.body["name"], stored.body["config"]) == ("true", {"max_rounds": 4})


def test_a_faulty_file_is_exit_2_with_every_fault_and_nothing_is_asked(
    server: Scripted, egg: Egg, capsys: Captured, tmp_path: Path
) -> None:
    definition = tmp_path / "pipeline.yaml"
    definition.write_text(SOUND + "colour: red\nspeed: 3\n")

    code = egg("run", str(definition))

    error = capsys.readouterr().err
    assert (code, server.asked) == (2, [])
    assert f"{definition}:8: colour" in error
    assert f"{definition}:9: speed" in error


def test_a_stack_is_found_in_its_home(
    server: Scripted, egg: Egg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EGG_ORCHESTRATOR_URL")
    monkeypatch.delenv("EGG_OPERATOR_TOKEN")
    (tmp_path / "stack.json").write_text(json.dumps({"api_url": server.url, "operator_token": "kept"}))
    server.say(200, "", data={"pipelines": []})

    egg("pipeline", "list")

    assert server.asked[0].authorization == "Bearer kept"


def test_without_a_stack_the_way_to_one_is_said(
    egg: Egg, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EGG_ORCHESTRATOR_URL", "EGG_OPERATOR_TOKEN", "EGG_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))

    code = egg("pipeline", "list")

    assert code == 1
    assert "no egg stack is running here; start one with `egg up`" in capsys.readouterr().err


def test_the_local_token_is_never_sent_to_another_server(
    server: Scripted, egg: Egg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EGG_OPERATOR_TOKEN")
    (tmp_path / "stack.json").write_text(
        json.dumps({"api_url": "http://127.0.0.1:1", "operator_token": "kept"})
    )

    code = egg("pipeline", "list")

    assert (code, server.asked) == (1, [])


def test_an_agent_does_not_pick_up_the_local_operators_credential(
    server: Scripted, egg: Egg, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EGG_OPERATOR_TOKEN")
    monkeypatch.setenv("EGG_SESSION_TOKEN", "agent")
    (tmp_path / "stack.json").write_text(json.dumps({"api_url": server.url, "operator_token": "kept"}))

    code = egg("pipeline", "cancel", "demo-1")

    assert (code, server.asked) == (1, [])
    assert "this command is for people" in capsys.readouterr().err


def test_a_bug_is_one_sentence_and_no_traceback(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say_as_another({"unexpected": True})

    code = egg("pipeline", "get", "demo-1")

    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("error: this is a bug in egg")
    assert "Traceback" not in error


def test_an_interrupted_watch_says_how_to_come_back(server: Scripted) -> None:
    server.say_to_all({**STATUS, "events": EVENTS[:1], "next_after": 1, "has_more": False})
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from cli.main import run; raise SystemExit(run())"
    watching = subprocess.Popen(
        [sys.executable, "-c", program, "watch", "demo-1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    watching.stdout.readline()

    watching.send_signal(signal.SIGINT)
    _, error = watching.communicate(timeout=30)

    assert watching.returncode == 130
    assert "come back with: egg watch demo-1" in error
    assert "Traceback" not in error


def test_a_reader_that_goes_away_is_no_error(server: Scripted) -> None:
    server.say(200, "", data={"events": EVENTS * 200, "next_after": 51, "has_more": False})
    program = "from cli.main import run; raise SystemExit(run())"
    printing = subprocess.Popen(
        [sys.executable, "-c", program, "events", "demo-1", "--jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert printing.stdout is not None
    assert printing.stderr is not None
    printing.stdout.readline()

    printing.stdout.close()
    error = printing.stderr.read()
    printing.wait(timeout=30)
    printing.stderr.close()

    assert error == ""


SOUND = """\
version: 1
repo: https://example.org/shop.git
prompt: Make it so.
agents:
  coder: {backend: command, command: [./coder]}
phases:
  - {name: implement, roles: [{role: coder}]}
"""


HALT = {"why": "the bill", "ordered_at": "2026-11-21T12:00:00+00:00", "lifted_at": None}


def test_stop_all_says_since_when_and_how_to_lift_it(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"halt": HALT})

    code = egg("stop-all", "--why", "the bill", "--running")

    said = capsys.readouterr().out
    assert code == 0
    assert said.startswith("all is stopped since 2026-11-21")
    assert said.endswith("(the bill); lift it: egg stop-all --lift\n")
    assert (server.asked[0].path, server.asked[0].body) == (
        "/api/v1/halt",
        {"why": "the bill", "running": True},
    )


@pytest.mark.parametrize(("halt", "said"), [(HALT, "agents start again\n"), (None, "nothing was stopped\n")])
def test_lifting_says_whether_there_was_anything_to_lift(
    server: Scripted, egg: Egg, capsys: Captured, halt: object, said: str
) -> None:
    server.say(200, "", data={"halt": halt})

    code = egg("stop-all", "--lift")

    assert (code, capsys.readouterr().out, server.asked[0].path) == (0, said, "/api/v1/halt/lift")


def test_lifting_goes_alone(server: Scripted, egg: Egg) -> None:
    assert (egg("stop-all", "--lift", "--running"), server.asked) == (2, [])


@pytest.mark.parametrize(
    ("verb", "said"), [("stop", "coder (run 1) is asked to end\n"), ("retry", "coder runs again\n")]
)
def test_an_agent_is_ordered_by_its_role(
    server: Scripted, egg: Egg, capsys: Captured, verb: str, said: str
) -> None:
    server.say(200, "", data={"agents": [AGENT]})
    server.say(200, "", data={"agent": AGENT})

    code = egg("agent", verb, "rate-limit", "coder")

    assert (code, capsys.readouterr().out) == (0, said)
    assert server.asked[1].path == f"/api/v1/pipelines/rate-limit/agents/{AGENT['run']}/{verb}"


def test_doctor_says_that_all_is_stopped(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={})
    server.say(200, "", data={"halt": HALT})

    egg("doctor", "--json")

    found = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert found["stop-all"]["ok"] is None
    assert found["stop-all"]["text"].endswith("lift it: egg stop-all --lift")


def test_a_watch_without_a_screen_says_at_once_and_once_with_what_a_person_answers(
    server: Scripted, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.event_stream.SHORTEST_ROUND_SECONDS", 0)
    asked = {**STATUS, "status": "awaiting_human", "pending_decisions": [{**DECISION, "failures": [FAILURE]}]}
    for look in (asked, asked, {**STATUS, "status": "cancelled"}):
        server.say(200, "", data=look)
        server.say(200, "", data={"events": [], "next_after": 0, "has_more": False})
    server.say(200, "", data={**STATUS, "status": "cancelled"})
    server.say(200, "", data={"pipeline": {**PIPELINE, "status": "cancelled"}})
    server.say(200, "", data={"phases": PHASES})
    server.say(200, "", data={"total": 14, "by_type": {}})

    egg("watch", "demo-1")

    said = capsys.readouterr().err
    assert server.asked[1].path.endswith("after=0&wait=0")
    assert said.count('egg decision resolve 7 "Retry (respawn agent)"') == 1
    assert "    KeyError: 'api_key'" in said


def test_a_failed_pipeline_s_why_shows_what_was_written_last(
    server: Scripted, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    failed = {"pipeline": "demo-1", "status": "failed", "why": "coder failed (run 1)", "failures": [FAILURE]}
    server.say(200, "", data=failed)

    egg("why", "demo-1")

    said = capsys.readouterr().out
    assert "coder failed (run 1): exit code 1\n  coder (run 1) wrote last:\n    Traceback" in said
    assert "all it wrote: egg agent logs demo-1 1a2b3c4d" in said
