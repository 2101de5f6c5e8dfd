"""Where agent runs are, as their list and their log say it."""

import re
from collections.abc import Callable

import pytest

from tests.unit.cli_samples import AGENT
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]


def test_where_a_run_is_stands_last_in_a_pipe_and_beside_its_empty_log(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    contained = {**AGENT, "isolation": "docker", "ended_at": None}
    server.say(200, "", data={"agents": [AGENT, contained]})
    server.say(200, "", data={"agents": [contained]})
    server.say(200, "", data={"text": "", "next_offset": 0, "is_live": True})

    egg("agent", "list", "demo-1")
    listed = capsys.readouterr().out.splitlines()
    egg("agent", "logs", "demo-1", "coder")

    assert [line.split()[-1] for line in listed] == ["container", "process"]
    assert capsys.readouterr().err == "coder (run 1, in a container) wrote nothing so far\n"


@pytest.mark.parametrize(
    ("kinds", "marks", "said"),
    [
        (["process", "process"], 0, ""),
        (["process", "docker"], 1, ""),
        (["docker", "docker"], 0, "each of them in a container of its own\n"),
    ],
)
def test_on_a_screen_where_runs_are_is_said_once_if_it_is_the_same_of_all(
    server: Scripted,
    egg: Egg,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    *,
    kinds: list[str],
    marks: int,
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    server.say(200, "", data={"agents": [{**AGENT, "isolation": kind} for kind in kinds]})

    egg("agent", "list", "demo-1")

    told = capsys.readouterr()
    titles = re.findall("[A-Z]{3,}", told.out.splitlines()[0])
    assert titles[:7] == ["RUN", "ROLE", "PHASE", "STATUS", "VERDICT", "STARTED", "TOOK"]
    assert (told.out.count("a container of its own"), told.err) == (marks, said)
