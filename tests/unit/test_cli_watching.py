"""Watching on a terminal: leaving with a key, a server that goes away, a terminal that is given back."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.watch_one import left
from egg_tasks.client import Client
from tests.unit.scripted_server import Scripted, serving
from tests.unit.test_cli_terminal import EVERYTHING, PROGRAM, STYLE

Egg = Callable[..., int]
SCREEN, NO_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


@dataclass
class Terminal:
    """A command on a terminal that is its own, and all that was shown so far."""

    running: subprocess.Popen[bytes]
    ours: int
    theirs: int
    before: list[object]
    shown: str = ""

    def until(self, words: str) -> None:
        """Read until *words* are shown."""
        while words not in STYLE.sub("", self.shown):
            self.shown += os.read(self.ours, 65536).decode()

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self.ours, key.encode())

    def end(self) -> tuple[int, str]:
        """Its exit code and all it showed; the terminal must be as it was before."""
        code = self.running.wait(timeout=30)
        os.set_blocking(self.ours, False)
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.ours, 65536):
                self.shown += part.decode()
        assert termios.tcgetattr(self.theirs) == self.before
        assert self.shown.count(SCREEN) == self.shown.count(NO_SCREEN) == 1
        return code, STYLE.sub("", self.shown)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with serving() as script:
        monkeypatch.setenv("EGG_ORCHESTRATOR_URL", script.url)
        monkeypatch.setenv("EGG_OPERATOR_TOKEN", "operator")
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("LINES", "24")
        yield script


def _on_a_terminal_of_its_own() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # Where the tests run in the background it is ignored, and what is ignored stays so across exec.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def watch(server: Scripted) -> Iterator[Terminal]:
    """`egg watch demo-1`, on a terminal."""
    server.say_to_all(EVERYTHING)
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "watch", "demo-1"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_on_a_terminal_of_its_own,  # noqa: PLW1509  two calls
    )
    yield Terminal(running, ours, theirs, before)
    running.kill()
    running.wait()
    os.close(ours)
    os.close(theirs)


def test_q_leaves_and_says_how_to_come_back(watch: Terminal) -> None:
    watch.until("q leaves")
    watch.press("x")
    watch.press("q")

    code, shown = watch.end()

    assert code == 130
    assert "demo-1 goes on without you; come back with:" in shown.rpartition(NO_SCREEN)[2]


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_whatever_ends_it_the_terminal_is_given_back(
    watch: Terminal, number: signal.Signals, expected: int
) -> None:
    watch.until("q leaves")
    watch.running.send_signal(number)

    assert watch.end()[0] == expected


def test_a_server_that_is_away_is_said_and_the_watch_goes_on_when_it_is_back(
    server: Scripted, watch: Terminal
) -> None:
    watch.until("demo-1  ● running")
    server.say(503, "the database is away", {"Retry-After": "0"})
    del server.answers[:-1]
    watch.until("the server is away since")
    watch.until("the database is away; trying again")
    server.say_to_all({**EVERYTHING, "status": "cancelled"})
    del server.answers[:-1]

    code, shown = watch.end()

    assert code == 5
    assert "demo-1  ✗ cancelled" in re.split("trying again", shown)[-1]


def test_who_watches_in_a_pipe_is_told_that_the_server_is_away_and_back(server: Scripted) -> None:
    away = [(503, {"success": False, "message": "the database is away"}, {"Retry-After": "0"})] * 6
    server.answers += away
    server.say_to_all({**EVERYTHING, "status": "cancelled"})

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "watch", "demo-1"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 5
    assert done.stderr.splitlines()[:2] == [
        "the server is away (the database is away); trying again",
        "the server is back",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "watch",
        "watch demo-1",
        "events demo-1 --follow",
        "agent logs demo-1 coder --follow",
        "message list demo-1 --follow",
        "message poll --pipeline demo-1 --role coder --wait 60",
        "logs --follow",
        "pipeline status demo-1",
    ],
)
def test_who_would_wait_for_a_stack_that_is_down_is_refused_at_the_first_look(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, egg: Egg, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("EGG_ORCHESTRATOR_URL", "EGG_OPERATOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))
    (tmp_path / "stack.json").write_text('{"api_url": "http://127.0.0.1:9", "operator_token": "x"}')
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text("one\n")

    assert egg(*line.split()) == 1

    said = capsys.readouterr().err
    assert re.match(r"error: no egg (server answers at|stack is running).*`\S*egg up`", said), said
    assert "trying again" not in said


def test_who_has_seen_a_server_waits_for_it_longer_than_who_has_not() -> None:
    with serving() as script:
        script.say(200, "", data={})
        client = Client(script.url, "x", patience=0, once_seen=7)

        client.get("/status")

    assert client.patience == 7


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("running", "demo-1 goes on without you"),
        ("awaiting_human", "demo-1 waits for your answer"),
        ("paused", "demo-1 is paused until you say"),
        ("complete", "demo-1 is complete"),
    ],
)
def test_who_leaves_is_told_what_becomes_of_the_pipeline(status: str, expected: str) -> None:
    with serving() as script:
        script.say(200, "", data={"status": status})

        assert left(Client(script.url, "x"), "demo-1").startswith(expected)
        assert "{" not in left(Client(script.url, "x"), "demo-1")


def test_a_terminal_that_cannot_move_a_cursor_is_told_in_lines(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    server.say_to_all({**EVERYTHING, "status": "cancelled"})
    ours, theirs = os.openpty()

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "watch", "demo-1"],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        check=False,
    )

    shown = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 5
    assert "\x1b" not in shown
    assert "consensus.reached" in shown
    assert "demo-1: " in shown
