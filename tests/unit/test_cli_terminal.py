"""What a person sees: the same commands on a real terminal."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.unit.cli_samples import DECISION, EVENTS, PHASES, PIPELINE, STATUS, SUMMARY
from tests.unit.scripted_server import Scripted, serving

STYLE = re.compile(r"\x1b\[[0-9;]*m")
PROGRAM = "from cli.main import run; raise SystemExit(run())"
EVERYTHING = {
    **STATUS,
    "pipeline": PIPELINE,
    "pipelines": [SUMMARY],
    "phases": PHASES,
    "events": EVENTS[-1:],
    "next_after": None,
    "has_more": False,
    "total": 14,
    "by_type": {},
    "decisions": [DECISION],
    "waiting": [{"role": "tester", "state": "OBJECTING", "why": "objects to version 1 of coder"}],
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with serving() as script:
        monkeypatch.setenv("EGG_ORCHESTRATOR_URL", script.url)
        monkeypatch.setenv("EGG_OPERATOR_TOKEN", "operator")
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("LINES", "24")
        monkeypatch.setenv("NO_COLOR", "1")
        yield script


def typed(*arguments: str) -> tuple[int, str]:
    """Run egg on a terminal of its own: its exit code, and all that was shown but colours."""
    ours, theirs = os.openpty()
    running = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        """Linux tells the end of a terminal by an error."""
    os.close(ours)
    return running.wait(timeout=30), STYLE.sub("", shown.decode())


def test_a_list_is_a_table(server: Scripted) -> None:
    server.say_to_all(EVERYTHING)

    code, shown = typed("pipeline", "list")

    assert code == 0
    assert [line.split()[:4] for line in shown.splitlines()] == [
        ["ID", "STATUS", "PHASE", "REPO"],
        ["demo-1", "running", "implement", "/src/shop"],
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("why", "demo-1"), "objects to version 1 of coder"),
        (("pipeline", "status", "demo-1"), "demo-1 ● running"),
        (("pipeline", "get", "demo-1"), "work_branch egg/demo-1/work"),
        (("phase", "list", "demo-1"), "consensus"),
        (("phase", "get", "demo-1", "plan"), "stop_reason consensus"),
        (("decision", "list", "demo-1"), "Abort phase"),
        (("events", "demo-1"), "consensus.reached"),
        (("message", "status", "demo-1"), "total"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_reading_command_speaks_to_people(
    server: Scripted, arguments: tuple[str, ...], sentence: str
) -> None:
    server.say_to_all(EVERYTHING)

    code, shown = typed(*arguments)

    assert code == 0
    assert sentence in " ".join(shown.split())


def test_the_live_screen_ends_with_the_report_and_the_exit_code_of_the_end(server: Scripted) -> None:
    server.say_to_all({**EVERYTHING, "status": "cancelled"})

    code, shown = typed("watch", "demo-1")

    screen, _, after = shown.rpartition("\x1b[?1049l")
    assert code == 5
    assert "demo-1  ✗ cancelled" in screen
    assert "The work is on egg/demo-1/work at 3f9a1c2e5b in /nonexistent/egg/repos/demo-1.git" in after


def test_who_is_complete_and_lacks_something_ends_partial(server: Scripted) -> None:
    lacking = {**PIPELINE, "status": "complete", "why": "validate did not converge in 5 iterations"}
    server.say_to_all({**EVERYTHING, "status": "complete", "pipeline": lacking})

    code, shown = typed("watch", "demo-1")

    assert code == 6
    assert "validate did not converge in 5 iterations" in shown.rpartition("\x1b[?1049l")[2]


def test_a_failed_live_screen_gives_the_terminal_back(server: Scripted) -> None:
    server.say_to_all(EVERYTHING)
    server.say_to_all(EVERYTHING)
    server.say(401, "nobody knows this credential")

    code, shown = typed("watch", "demo-1")

    assert code == 1
    assert shown.rpartition("\x1b[?1049l")[2].strip().endswith("error: nobody knows this credential")
