"""The local stack's own logs, as a person reads them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from egg_tasks.stack import logs
from egg_tasks.stack.log_ends import Follower, end
from tests.hostile_words import ALL_AT_ONCE, faults

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a stack that has run: three processes have written."""
    monkeypatch.delenv("EGG_ORCHESTRATOR_URL", raising=False)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))
    (tmp_path / "logs").mkdir()
    for name in ("api", "worker-agents", "worker-control"):
        (tmp_path / "logs" / f"{name}.log").write_text(f"{name} one\n{name} two\n")
    return tmp_path


def test_without_a_name_the_logs_are_listed_with_size_and_last_line(
    home: Path, egg: Egg, capsys: Captured
) -> None:
    assert egg("logs", "--json") == 0

    found = json.loads(capsys.readouterr().out)["logs"]
    assert [(log["name"], log["bytes"], log["last"]) for log in found[:2]] == [
        ("api", 16, "api two"),
        ("worker-agents", 36, "worker-agents two"),
    ]
    assert found[0]["path"] == str(home / "logs" / "api.log")


@pytest.mark.usefixtures("home")
def test_one_log_is_its_last_lines_as_they_are(egg: Egg, capsys: Captured) -> None:
    egg("logs", "api", "--lines", "1")

    assert capsys.readouterr().out == "api two\n"


@pytest.mark.usefixtures("home")
def test_of_several_each_line_begins_with_its_process(egg: Egg, capsys: Captured) -> None:
    egg("logs", "worker", "-n", "1")

    assert capsys.readouterr().out.splitlines() == [
        "worker-agents  | worker-agents two",
        "worker-control | worker-control two",
    ]


@pytest.mark.usefixtures("home")
def test_a_process_nobody_knows_is_refused_with_those_there_are(egg: Egg, capsys: Captured) -> None:
    assert egg("logs", "wroker") == 1
    assert "there are logs of: api, worker-agents, worker-control" in capsys.readouterr().err


def test_where_no_stack_ever_ran_it_says_how_to_start_one(
    tmp_path: Path, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EGG_ORCHESTRATOR_URL", raising=False)
    monkeypatch.setenv("EGG_HOME", str(tmp_path / "none"))

    assert egg("logs") == 1
    assert "start one: `egg up`" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_the_logs_of_a_server_elsewhere_are_not_these(
    egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_ORCHESTRATOR_URL", "http://elsewhere:8700")

    assert egg("logs", "api") == 1
    assert "another server" in capsys.readouterr().err


def test_nobodys_words_begin_a_line_of_the_logs_like_ours(home: Path, egg: Egg, capsys: Captured) -> None:
    for name in ("api", "worker-agents"):
        (home / "logs" / f"{name}.log").write_text(ALL_AT_ONCE)

    egg("logs", "api", "worker-agents")
    egg("logs", "--json")

    assert faults(capsys.readouterr().out) == []


def test_lines_of_older_pieces_come_before_those_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_text("".join(f"{number}\n" for number in range(1000)))
    logs.trim(tmp_path, longest=1000)
    path.write_text("new\nand no end")

    assert end(path, lines=4) == b"998\n999\nnew\nand no end"
    assert end(path, lines=0) == b""
    assert end(path, lines=5000).count(b"\n") == 251


def test_a_log_is_followed_over_its_cuts_without_a_line_lost_or_told_twice(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_text("before\n")
    follower = Follower(path)
    read = b""

    with path.open("ab", buffering=0) as log:
        for number in range(1000):
            log.write(f"line {number}\n".encode())
            if number % 7 == 0:
                read += follower.read()
            if number % 11 == 0:
                logs.trim(tmp_path, longest=2000)
        read += follower.read()

    assert read.decode().split("\n")[:-1] == [f"line {number}" for number in range(1000)]


def test_a_log_that_is_not_there_yet_is_followed_from_its_beginning(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "api.log")
    assert follower.read() == b""
    (tmp_path / "api.log").write_text("one\n")

    assert follower.read() == b"one\n"
