"""--json: whatever happens, a program finds exactly one JSON document on stdout."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli_samples import AGENT, DECISION, EVENTS, PHASES, PIPELINE, STATUS
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]
CHANGES = [
    ("pipeline", "start", "demo-1"),
    ("pipeline", "cancel", "demo-1"),
    ("pipeline", "pause", "demo-1"),
    ("pipeline", "resume", "demo-1"),
    ("pipeline", "extend", "demo-1", "--minutes", "3"),
    ("pipeline", "quota", "demo-1", "--messages", "1G"),
    ("phase", "advance", "demo-1", "implement"),
    ("phase", "restart", "demo-1", "implement"),
]


def document(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_a_command_that_changes_something_prints_what_it_has_become(
    server: Scripted, egg: Egg, capsys: Captured, words: tuple[str, ...]
) -> None:
    server.say(200, "", data={"pipeline": PIPELINE})

    code = egg(*words, "--json")

    assert (code, document(capsys)) == (0, {"pipeline": PIPELINE})


def test_a_message_that_is_sent_is_printed(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"message": {"id": 7, "subject": "ship it"}})

    egg("message", "send", "demo-1", "--type", "DIRECTIVE", "--json")

    assert document(capsys)["message"].items() >= {"id": 7, "subject": "ship it"}.items()


def test_a_log_is_one_document(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"agents": [AGENT]})
    server.say(200, "", data={"text": "one\n", "next_offset": 4, "is_live": False})
    server.say(200, "", data={"text": "two\n", "next_offset": 8, "is_live": False})
    server.say(200, "", data={"text": "", "next_offset": 8, "is_live": False})

    egg("agent", "logs", "demo-1", "coder", "--json")

    assert document(capsys) == {"run": AGENT["run"], "text": "one\ntwo\n"}


def test_a_watch_tells_what_happens_on_stderr_and_its_end_is_one_document(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={**STATUS, "status": "failed"})
    server.say(200, "", data={"events": EVENTS[-1:], "next_after": 51, "has_more": False})
    server.say(200, "", data={**STATUS, "status": "failed"})
    server.say(200, "", data={"decisions": []})
    server.say(200, "", data={"pipeline": {**PIPELINE, "status": "failed"}})
    server.say(200, "", data={"decisions": [DECISION]})
    server.say(200, "", data={"phases": PHASES})
    server.say(200, "", data={"total": 14, "by_type": {}})

    code = egg("watch", "demo-1", "--json")

    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (code, told["exit_code"], told["pipeline"]["status"]) == (1, 1, "failed")
    assert (told["phases"], told["pending_decisions"]) == (PHASES, [DECISION])
    assert "consensus.reached" in err


def test_a_refusal_is_an_object_with_the_sentence_the_code_and_the_details(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(409, "it is over", details={"status": "complete"})

    code = egg("pipeline", "cancel", "demo-1", "--json")

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {
            "message": "it is over",
            "exit_code": 1,
            "status": 409,
            "details": {"status": "complete"},
        }
    }
    assert (code, err) == (1, "error: it is over\n")


def test_wrong_usage_is_an_object_too(egg: Egg, capsys: Captured) -> None:
    code = egg("pipeline", "cancel", "--json")

    assert (code, document(capsys)["error"]["exit_code"]) == (2, 2)


def test_without_json_an_error_leaves_stdout_alone(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(404, "no such pipeline")

    egg("pipeline", "cancel", "demo-1")
    egg("pipeline", "list", "--jsonl")

    assert capsys.readouterr().out == ""


def test_the_faults_of_a_file_are_in_the_document(egg: Egg, capsys: Captured, tmp_path: Path) -> None:
    definition = tmp_path / "egg.yaml"
    definition.write_text("version: 1\ncolour: red\n")

    code = egg("validate", str(definition), "--json")

    lines = document(capsys)["error"]["details"]["lines"]
    assert code == 2
    assert any(line.startswith(f"{definition}:2: colour") for line in lines)


SOUND = """\
version: 1
repo: https://example.org/shop.git
prompt: Make it so.
agents:
  coder: {backend: command, command: [./coder]}
phases:
  - {name: implement, roles: [{role: coder}]}
"""


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [(SOUND, 0, "<stdin> is sound"), (SOUND + "colour: red\n", 2, "<stdin>:8: colour")],
    ids=["sound", "faulty"],
)
def test_a_definition_may_come_from_standard_input(text: str, code: int, said: str) -> None:
    program = "from cli.main import run; raise SystemExit(run())"
    environment = {**os.environ, "EGG_ORCHESTRATOR_URL": "http://127.0.0.1:1"}

    done = subprocess.run(
        [sys.executable, "-c", program, "validate", "-"],
        input=text,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert (done.returncode, said in done.stderr) == (code, True)


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("pipline", "list"), "pipeline list"), (("wach",), "watch"), (("pipeline", "lst"), "pipeline list")],
    ids=["a noun", "a command", "a verb"],
)
def test_a_slip_of_the_fingers_is_answered_with_what_may_be_meant(
    egg: Egg, capsys: Captured, words: tuple[str, ...], meant: str
) -> None:
    assert egg(*words) == 2
    assert f"Did you mean `egg {meant}`?" in capsys.readouterr().err
