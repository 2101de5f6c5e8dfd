"""A stack that another version of egg has started: said, and started anew; what runs in it lives on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks import version
from egg_tasks.runners import run_directory
from egg_tasks.stack import doctor, lifecycle, manifest
from egg_tasks.stack.manifest import Manifest
from tests.integration import small_stack
from tests.integration.small_stack import SUPERVISOR, environ, temporary_home

EGG = str(Path(sys.executable).parent / "egg")
OTHER = "0.0.9"


@pytest.fixture
def home(ready_cluster: Path) -> Iterator[Path]:
    """A home with a database and no more; what runs in it ends with the test."""
    with temporary_home(ready_cluster) as path:
        yield path


@pytest.fixture
def other(home: Path) -> Manifest:
    """A stack that runs, and says that another version has started it."""
    found = replace(small_stack.up(home), version=OTHER)
    manifest.write(home, found)
    return found


def up(home: Path, *, keeps_version: bool = False) -> tuple[Manifest, list[str]]:
    """Type `egg up`; the stack, and what was said."""
    said: list[str] = []
    found = lifecycle.up(
        home, report=said.append, environ=environ(), command=SUPERVISOR, keeps_version=keeps_version
    )
    return found, said


def egg(home: Path, *words: str, **more: str) -> str:
    """Type a command; what it says on stderr."""
    done = subprocess.run(
        [EGG, *words], env=environ(EGG_HOME=str(home), **more), capture_output=True, text=True, check=False
    )
    return done.stderr


def test_up_starts_the_stack_of_another_version_anew(other: Manifest, home: Path) -> None:
    outliving = int((home / "outliving").read_text())

    found, said = up(home)

    assert said[0] == f"egg {OTHER} started the stack in {home}; it is started anew by egg {version.ours()}"
    assert (found.version, found.api_port) == (version.ours(), other.api_port)
    assert found.supervisor_pid != other.supervisor_pid
    os.kill(outliving, 0)
    os.kill(outliving, 9)
    assert up(home) == (found, [])


def test_a_stack_that_does_not_tell_its_version_is_an_earlier_one(other: Manifest, home: Path) -> None:
    written = json.loads((home / "stack.json").read_text())
    del written["version"], written["program"]
    (home / "stack.json").write_text(json.dumps(written))

    assert "was started by an earlier version, this is egg" in egg(home, "pipeline", "list")
    found, said = up(home)

    assert said[0].startswith("an earlier version started the stack in ")
    assert found.operator_token == other.operator_token


def test_a_stack_whose_program_is_gone_is_started_anew(other: Manifest, home: Path) -> None:
    manifest.write(home, replace(other, version=version.ours(), program="/nowhere/python"))
    assert lifecycle.is_uprooted(home)

    found, _ = up(home)

    assert found.supervisor_pid != other.supervisor_pid
    assert not lifecycle.is_uprooted(home)


def test_one_that_is_just_starting_is_not_taken_for_what_ran_before(other: Manifest, home: Path) -> None:
    lifecycle.down(home)

    with ThreadPoolExecutor(4) as together:
        found = list(together.map(lambda _: up(home)[0], range(4)))

    assert len({each.supervisor_pid for each in found}) == 1
    assert found[0].version == version.ours()
    log = (home / "logs/supervisor.log").read_text()
    # The one of the fixture, and the one that was told to stop.
    assert log.count("stack.stopped") == 1
    assert other.version == OTHER


def test_every_command_of_a_person_says_so_once_and_those_of_agents_do_not(
    other: Manifest, home: Path
) -> None:
    line = (
        f"the stack in {home} was started by egg {OTHER}, this is egg {version.ours()}: "
        "`egg up` restarts it, and its agents live on\n"
    )

    assert up(home, keeps_version=True) == (other, [])
    for words in (("pipeline", "list"), ("run", "none.yaml")):
        assert egg(home, *words).count(line) == 1, words
    assert line not in egg(home, "message", "poll", EGG_SESSION_TOKEN="t")
    assert line not in egg(home, "pipeline", "list", EGG_ORCHESTRATOR_URL="http://127.0.0.1:1")
    found = doctor.examine(home, environ())[0]
    assert (found.ok, found.text) == (None, f"{version.ours()}; the stack was started by egg {OTHER}")
    assert found.mend == "`egg up` restarts it; its agents live on"


def test_nothing_is_said_of_a_stack_that_does_not_run(home: Path) -> None:
    home.mkdir(exist_ok=True)
    ours = ("http://127.0.0.1:1", 1, "http://127.0.0.1:2", 2, "login", "token", "database", "redis")
    manifest.write(home, Manifest(*ours, supervisor_pid=os.getpid(), version=OTHER))

    assert "was started by" not in egg(home, "pipeline", "list")
    assert doctor.examine(home, environ())[0].text == version.ours()


def test_agents_that_only_a_newer_egg_can_attend_are_counted_and_left_alone(home: Path) -> None:
    directory = home / "shims" / str(uuid4())
    directory.mkdir(parents=True)
    (directory / "started").touch()
    (directory / "spec.json").write_text(json.dumps({"layout": run_directory.CONTAINER_LAYOUT + 1}))

    said = egg(home, "down", "--agents")

    assert "1 agent was started by a newer egg; what it started is left alone until it runs again" in said
    assert not (directory / "stop").exists()
    assert "1 were started by a newer egg" in doctor_says(home)


def doctor_says(home: Path) -> str:
    """What `egg doctor` prints."""
    environment = environ(EGG_HOME=str(home))
    done = subprocess.run(
        [EGG, "doctor", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout
