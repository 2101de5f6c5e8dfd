"""What a stack took from the shell it was started in: kept, shown, and said in a shell that differs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from egg_tasks.stack import commands, doctor, frozen, lifecycle, manifest
from tests.integration.small_stack import SUPERVISOR, environ, temporary_home


@pytest.fixture
def home(ready_cluster: Path) -> Iterator[Path]:
    """A home with a database and no more; what runs in it ends with the test."""
    with temporary_home(ready_cluster) as path:
        yield path


def up(home: Path, **more: str) -> list[str]:
    """Bring the small stack up; what was reported."""
    said: list[str] = []
    lifecycle.up(home, report=said.append, environ=environ(**more), command=SUPERVISOR)
    return said


def shown(home: Path, name: str, **more: str) -> doctor.Finding:
    """What the doctor finds in a shell."""
    return next(each for each in doctor.examine(home, environ(**more)) if each.name == name)


def program(directory: Path, name: str, says: str) -> str:
    """Put a program into a directory; the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\necho {says}\n")
    (directory / name).chmod(0o755)
    return str(directory)


def test_a_later_up_says_what_it_would_do_otherwise(home: Path) -> None:
    first = up(home, PATH="/here:/usr/bin:/bin", EGG_NODE_CAPACITY="5", EGG_WEBHOOK_SECRET="never shown")
    same = up(home, PATH="/here:/usr/bin:/bin", EGG_NODE_CAPACITY="5", EGG_WEBHOOK_SECRET="never shown")
    other = up(home, PATH="/there:/usr/bin:/bin", EGG_WEBHOOK_SECRET="other")
    told = "\n".join(other)

    assert not any("other settings" in line for line in (*first, *same))
    assert "`egg down`, then `egg up`" in told
    assert "PATH is /here:/usr/bin:/bin, here /there:/usr/bin:/bin" in told
    assert "EGG_NODE_CAPACITY is 5, here not set" in told
    assert "EGG_WEBHOOK_SECRET is another one here" in told
    assert "never shown" not in told + (home / manifest.NAME).read_text()


def test_a_settings_file_written_since_is_said(home: Path) -> None:
    up(home, PATH="/here:/usr/bin:/bin")
    (home / "settings.toml").write_text('[agents]\npath = "/tools:/usr/bin"\n')

    assert "  PATH is /here:/usr/bin:/bin, here /tools:/usr/bin" in up(home, PATH="/here:/usr/bin:/bin")


def test_the_doctor_shows_the_path_of_the_stack_and_where_it_comes_from(home: Path) -> None:
    (home / "settings.toml").write_text('[agents]\npath = "/tools:/usr/bin"\n')
    up(home, PATH="/here:/usr/bin:/bin", EGG_NODE_CAPACITY="5")
    (home / "settings.toml").unlink()

    path = shown(home, "agents' PATH", PATH="/elsewhere:/usr/bin:/bin")

    assert path.text == f"/tools:/usr/bin (from {home}/settings.toml)"
    assert "EGG_NODE_CAPACITY=5" in shown(home, "started with").text


def test_the_doctor_looks_for_agent_programs_where_the_workers_do(home: Path, tmp_path: Path) -> None:
    frozen_there = program(tmp_path / "frozen", "claude", "2.1.400")
    only_here = program(tmp_path / "shell", "codex", "0.200")
    up(home, PATH=f"{frozen_there}:/usr/bin:/bin")

    claude = shown(home, "claude", PATH=f"{only_here}:/usr/bin:/bin")
    codex = shown(home, "codex", PATH=f"{only_here}:/usr/bin:/bin")

    assert (claude.ok, claude.text) == (True, f"2.1.400 ({frozen_there}/claude)")
    assert (codex.ok, codex.text) == (None, f"{only_here}/codex is not on the agents' PATH")


def test_a_faulty_settings_file_is_a_sentence_with_its_place(home: Path) -> None:
    (home / "settings.toml").write_text("[agents]\npath = 7\n")

    found = shown(home, "agents' PATH")

    assert (found.ok, "settings.toml" in found.text) == (False, True)
    with pytest.raises(Exception, match=r"settings\.toml, line 2: agents\.path"):
        up(home)


def test_the_doctor_shows_settings_as_the_running_stack_has_them_and_where_others_are(home: Path) -> None:
    secret = "0123456789abcdef"
    there = {"EGG_WEBHOOK_URL": "https://hooks.example.org/T0/hidden", "EGG_WEBHOOK_SECRET": secret}
    up(home, PATH="/usr/bin:/bin", EGG_NODE_CAPACITY="5", **there)
    (home / "settings.toml").write_text("[node]\ncapacity = 9\n[api]\nrate_limit = 7\n")

    here = environ(PATH="/usr/bin:/bin", EGG_API_PORT="1234", EGG_WEBHOOK_URL="https://other.example.org/")
    found = doctor.examine(home, here)
    texts = {each.text for each in found if each.name == "differs"}
    webhook = next(each for each in found if each.name == "webhook")

    assert texts == {
        f"EGG_API_PORT is 1234 in this shell, but {lifecycle.find(home).api_port} in the running stack",  # type: ignore[union-attr]
        "EGG_NODE_CAPACITY is 9 in settings.toml, but 5 in the running stack",
        "EGG_RATE_LIMIT is 7 in settings.toml, but not set in the running stack",
        "EGG_WEBHOOK_SECRET is not set in this shell, but set in the running stack",
        "EGG_WEBHOOK_URL is other.example.org in this shell, but hooks.example.org in the running stack",
    }
    assert (webhook.ok, webhook.text) == (True, "the running stack tells hooks.example.org")
    assert "hidden" not in str(found) + (home / manifest.NAME).read_text()
    assert secret not in str(found) + (home / manifest.NAME).read_text()


def test_a_stack_takes_the_file_when_it_starts_and_keeps_it(home: Path) -> None:
    (home / "settings.toml").write_text("[node]\ncapacity = 9\n[api]\nrate_limit = 7\n")
    up(home, EGG_RATE_LIMIT="8")
    (home / "settings.toml").write_text("[node]\ncapacity = 3\n[api]\nlook_seconds = 60\n")
    supervisor = lifecycle.find(home)
    assert supervisor is not None
    has = Path(f"/proc/{supervisor.supervisor_pid}/environ").read_bytes().split(b"\0")

    assert {b"EGG_NODE_CAPACITY=9", b"EGG_RATE_LIMIT=8", b"EGG_LOOK_SECONDS="} <= set(has)


def test_what_egg_env_says_of_a_stack_is_no_server_of_somebody_elses(home: Path) -> None:
    up(home)
    found = lifecycle.find(home)
    assert found is not None
    taken = {
        "EGG_DATABASE_URL": found.database_url,
        "EGG_REDIS_URL": found.redis_url,
        "EGG_ORCHESTRATOR_URL": found.api_url,
        "EGG_OPERATOR_TOKEN": found.operator_token,
    }
    differs = [each for each in doctor.examine(home, environ(**taken)) if each.name == "differs"]
    lifecycle.down(home)

    assert differs == []
    assert up(home, **taken) != []
    assert manifest.read(home).operator_token == found.operator_token  # type: ignore[union-attr]


def test_a_manifest_of_an_older_stack_is_read_and_nothing_is_said_of_it(home: Path) -> None:
    up(home)
    lifecycle.down(home)
    old = json.loads((home / manifest.NAME).read_text())
    del old["frozen"]
    (home / manifest.NAME).write_text(json.dumps(old))

    found = manifest.read(home)

    assert found is not None
    assert frozen.differences(found.frozen, frozen.of(home, environ())) == []


def test_our_own_processes_search_nothing_that_depends_on_where_they_are(home: Path) -> None:
    found = commands.environment(home, environ(PATH=".:/usr/bin::node_modules/.bin:/bin"), None)

    assert found["PATH"] == "/usr/bin:/bin"
    assert found["EGG_AGENTS_PATH"] == ".:/usr/bin::node_modules/.bin:/bin"
