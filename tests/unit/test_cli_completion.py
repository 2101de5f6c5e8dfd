"""Completion, in the shells themselves: what a person gets at a Tab."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest

from cli import completing
from cli.commands.message import TYPES
from cli.main import egg
from egg_tasks.client import Client
from models.schemas.message import MessageType
from tests.unit.cli_samples import DECISION, PIPELINE, SUMMARY
from tests.unit.scripted_server import Scripted

Shell = Callable[..., list[list[str]]]
"""Lines as they are typed up to a Tab; for each the words that are offered behind it."""

NAME = click.Argument(["name"])
BETWEEN = "-- the next line --"
ROLES = [{"role": "coder"}, {"role": "tester"}]
DEFINED = {**PIPELINE, "definition": {"phases": [{"name": "plan", "roles": ROLES}]}}
RUNS = [
    {"run": "0b1c2d3e-4f50-4000-8000-000000000000", "role": "coder", "number": 1, "status": "failed"},
    {"run": "77777777-4f50-4000-8000-000000000000", "role": "coder", "number": 2, "status": "running"},
]
ANSWERS: Mapping[str, Any] = {
    "pipelines": [SUMMARY, {**SUMMARY, "id": "rate-limit"}],
    "pipeline": DEFINED,
    "agents": RUNS,
    "decisions": [DECISION],
    "decision": DECISION,
}
OFFERED: Mapping[str, list[str]] = {
    "egg pip": ["pipeline"],
    "egg pipeline re": ["rebase", "rerun", "resume"],
    "egg why ra": ["rate-limit"],
    "egg watch ": ["demo-1", "rate-limit"],
    "egg pipeline list --status fa": ["failed"],
    "egg phase restart demo-1 ": ["plan"],
    "egg agent logs demo-1 ": ["0b1c2d3e", "77777777", "coder"],
    "egg message poll demo-1 --role t": ["tester"],
    "egg message send demo-1 --to ": ["all", "coder", "human", "orchestrator", "tester"],
    "egg message poll demo-1 --type CON": ["CONVERGE"],
    "egg decision resolve ": ["7"],
    "egg decision resolve 7 a": ["Abort"],
}


def bash(*lines: str) -> list[list[str]]:
    """What bash offers behind each line."""

    def behind(words: list[str]) -> str:
        return f"""
        COMP_WORDS=({_quoted(words)}) COMP_CWORD={len(words) - 1} COMPREPLY=()
        _egg_completion egg 2>&1
        printf '%s\\n' "${{COMPREPLY[@]}}"
        """

    script = _one_after_the_other('eval "$(egg completion bash)"', behind, lines)
    return _said(["bash", "--norc", "-c", script])


def fish(*lines: str) -> list[list[str]]:
    """What fish offers behind each line, without what it says of each."""

    def behind(words: list[str]) -> str:
        return f"complete -C '{' '.join(words)}'"

    script = _one_after_the_other("egg completion fish | source", behind, lines)
    said = _said(["fish", "--no-config", "-c", script])
    return [[each.partition("\t")[0] for each in offered] for offered in said]


def zsh(*lines: str) -> list[list[str]]:
    """What zsh is given for each line: its own commands, which work in its editor alone, show it here."""
    begin = """
    autoload -U compinit; compinit -D; eval "$(egg completion zsh)"
    compadd() { print -l -- ${(P)@[-1]} }
    _describe() { print -l -- ${${(P)3}%%:*} }
    """

    def behind(words: list[str]) -> str:
        return f"words=({_quoted(words)}) CURRENT={len(words)}; _egg_completion"

    return _said(["zsh", "-f", "-c", _one_after_the_other(begin, behind, lines)])


def _quoted(words: list[str]) -> str:
    return " ".join(f"'{word}'" for word in words)


def _one_after_the_other(begin: str, behind: Callable[[list[str]], str], lines: tuple[str, ...]) -> str:
    """In one shell: each takes a while to learn how `egg` is completed."""
    asked = [behind(line.split(" ")) for line in lines]
    return "\n".join([begin, f"\necho '{BETWEEN}'\n".join(asked)])


def _said(command: list[str]) -> list[list[str]]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return [offered.split("\n")[:-1] for offered in done.stdout.split(f"{BETWEEN}\n")]


@pytest.fixture(params=[bash, zsh, fish], ids=lambda shell: shell.__name__)
def shell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    found: Shell = request.param
    name = request.param.__name__
    if shutil.which(name) is None:
        assert "CI" not in os.environ, f"{name} is missing: see .ci/run"
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    return found


def test_names_are_completed(server: Scripted, shell: Shell) -> None:
    server.say_to_all(dict(ANSWERS))

    offered = dict(zip(OFFERED, shell(*OFFERED), strict=True))

    assert {typed: sorted(names) for typed, names in offered.items()} == OFFERED
    assert "None" not in "".join(asked.path for asked in server.asked)


def test_where_the_server_is_away_nothing_is_offered_or_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_ORCHESTRATOR_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("EGG_OPERATOR_TOKEN", "operator")

    assert [line for line in shell("egg why ")[0] if line] == []


def test_a_server_that_is_slow_is_not_waited_for(server: Scripted) -> None:
    server.say_to_all(dict(ANSWERS))
    server.seconds = 3
    environment = {
        **os.environ,
        "_EGG_COMPLETE": "bash_complete",
        "COMP_WORDS": "egg why ",
        "COMP_CWORD": "2",
    }

    done = subprocess.run(["egg"], env=environment, capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_end_of_its_time_is_told_again_to_what_swallowed_it(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say(200, "", data=ANSWERS)
    monkeypatch.setattr(completing, "SECONDS", 60)
    assert completing.asked(lambda _client, _ctx: [("in time", "")])(click.Context(egg), NAME, "")
    monkeypatch.setattr(completing, "SECONDS", 0.5)
    swallowed = []

    def find(_client: Client, _ctx: click.Context) -> completing.Named:
        with suppress(completing.LateError):
            threading.Event().wait(60)
        swallowed.append(True)
        threading.Event().wait(60)
        return [("too late", "")]

    offered = completing.asked(find)(click.Context(egg), NAME, "")

    assert (offered, swallowed) == ([], [True])


def test_the_types_that_are_completed_are_those_there_are() -> None:
    assert set(TYPES) == {str(kind) for kind in MessageType}
