"""What is typed about containers where no engine is: said in a sentence, and nothing is begun."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from egg_tasks.demo.repository import make_repository

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]
NOWHERE = "unix:///no/such/docker.sock"


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EGG_DOCKER_HOST", NOWHERE)
    monkeypatch.setenv("EGG_HOME", str(tmp_path / "home"))
    for name in ("EGG_ORCHESTRATOR_URL", "EGG_OPERATOR_TOKEN", "EGG_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(make_repository(tmp_path / "shop"))


def test_a_sound_file_stays_sound_and_says_where_agents_are_and_what_is_missing(
    egg: Egg, capsys: Captured
) -> None:
    code = egg("validate", "--set", "isolation=docker", "--json")

    said = json.loads(capsys.readouterr().out)
    assert (code, said["is_sound"]) == (0, True)
    assert [each["who"] for each in said["agents"]] == [
        "planner",
        "coder",
        "tester",
        "documenter",
        "check of implement",
    ]
    assert {each["runs_as"] for each in said["agents"]} == {"docker"}
    assert [note for note in said["notes"] if f"no container engine answers at {NOWHERE}" in note]


def test_where_no_agent_wants_a_container_nobody_looks_for_an_engine(egg: Egg, capsys: Captured) -> None:
    egg("validate")

    told = capsys.readouterr()
    assert "engine" not in told.out + told.err
    assert told.out.count("all that you may") == 5


@pytest.mark.parametrize(
    "typed",
    [("demo", "--isolation", "docker"), ("run", "--set", "isolation=docker"), ("doctor", "--image", "x")],
)
def test_without_an_engine_a_command_that_needs_one_fails_and_begins_nothing(
    egg: Egg, capsys: Captured, tmp_path: Path, typed: tuple[str, ...]
) -> None:
    code = egg(*typed)

    told = capsys.readouterr()
    assert code == 1
    assert f"no container engine answers at {NOWHERE}: start one" in told.out + told.err
    assert not (tmp_path / "home").exists()


def test_an_image_is_named_of_containers_alone(egg: Egg, capsys: Captured) -> None:
    assert egg("demo", "--image", "x") == 2
    assert "add --isolation docker" in capsys.readouterr().err
