"""Settings: which names are read, and what a program says that does not find them."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from egg_tasks.config import Settings, default_home
from models.errors import Unprocessable

OURS = {"EGG_DATABASE_URL": "postgresql://ours/egg", "EGG_REDIS_URL": "redis://ours/0"}
THEIRS = {"DATABASE_URL": "postgresql://theirs/shop", "REDIS_URL": "redis://theirs/0"}
CELERYS = {
    "CELERY_BROKER_URL": "amqp://theirs",
    "CELERY_BROKER_READ_URL": "amqp://theirs",
    "CELERY_BROKER_WRITE_URL": "amqp://theirs",
    "CELERY_RESULT_BACKEND": "redis://theirs/9",
    "BROKER_URL": "amqp://theirs",
}
SHOW = """
from egg_tasks.app import app
print(app.conf.broker_read_url, app.conf.broker_write_url, app.conf.result_backend)
"""
EGG = str(Path(sys.executable).parent / "egg")
PYTHON = (sys.executable, "-m")
PROGRAMS = (
    (EGG, "api"),
    (EGG, "worker", "control"),
    (EGG, "worker", "agents"),
    (EGG, "reconcile"),
    (EGG, "flower"),
    (EGG, "db", "upgrade"),
    (EGG, "db", "current"),
    (*PYTHON, "egg_tasks.reconciler"),
    (*PYTHON, "celery", "-A", "egg_tasks.app", "worker", "-P", "threads"),
    (*PYTHON, "celery", "-A", "egg_tasks.app", "inspect", "active"),
    (*PYTHON, "celery", "-A", "egg_tasks.app", "purge", "-f"),
)
AWAY = {"EGG_DATABASE_URL": "postgresql://127.0.0.1:1/egg", "EGG_REDIS_URL": "redis://127.0.0.1:1/0"}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in nothing but this environment."""
    given = {"PATH": os.environ["PATH"], "HOME": "/nowhere", **environment}
    return subprocess.run(
        command, env=given, capture_output=True, text=True, check=False, timeout=60, cwd="/"
    )


def test_only_our_own_names_are_read() -> None:
    found = Settings.from_environment({**OURS, **THEIRS, **CELERYS})

    assert found.database_url == "postgresql+psycopg://ours/egg"
    assert (found.redis_url, found.broker_url, found.result_backend) == ("redis://ours/0",) * 3


def test_a_person_may_let_a_look_take_longer_but_no_longer_than_agents_wait() -> None:
    assert Settings.from_environment(OURS).look_limit == timedelta(seconds=30)
    assert Settings.from_environment({**OURS, "EGG_LOOK_SECONDS": "120"}).look_limit == timedelta(minutes=2)

    with pytest.raises(
        Unprocessable, match="EGG_LOOK_SECONDS must be a whole number of seconds, 1 to 600, not '601'"
    ):
        Settings.from_environment({**OURS, "EGG_LOOK_SECONDS": "601"})


def test_a_person_may_let_a_merge_take_up_to_an_hour() -> None:
    assert Settings.from_environment(OURS).merge_limit == timedelta(minutes=2)
    assert Settings.from_environment({**OURS, "EGG_MERGE_SECONDS": "600"}).merge_limit == timedelta(
        minutes=10
    )

    with pytest.raises(Unprocessable, match="EGG_MERGE_SECONDS must be a whole number of seconds, 1 to 3600"):
        Settings.from_environment({**OURS, "EGG_MERGE_SECONDS": "3601"})


def test_a_broker_of_its_own_may_be_named() -> None:
    found = Settings.from_environment({**OURS, "EGG_BROKER_URL": "amqp://ours"})

    assert (found.broker_url, found.result_backend) == ("amqp://ours", "redis://ours/0")


def test_a_broker_on_a_socket_is_spelled_for_celery() -> None:
    found = Settings.from_environment({**OURS, "EGG_BROKER_URL": "unix:///tmp/broker.sock?db=2"})

    assert found.broker_url == "redis+socket:///tmp/broker.sock?virtual_host=2"


@pytest.mark.parametrize("name", ["EGG_DATABASE_URL", "EGG_REDIS_URL"])
def test_another_programs_name_alone_is_told_with_ours(name: str) -> None:
    given = {**OURS, **THEIRS, name: ""}

    with pytest.raises(Unprocessable, match=rf"{name} is not set, and {name.removeprefix('EGG_')} may be"):
        Settings.from_environment(given)


def test_celery_reads_no_url_of_another_program() -> None:
    done = run(sys.executable, "-c", SHOW, **OURS, **CELERYS)

    assert done.stdout.split() == ["redis://ours/0"] * 3, done.stderr


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_a_program_of_ours_ends_with_one_sentence_when_only_another_programs_servers_are_named(
    program: tuple[str, ...],
) -> None:
    done = run(*program, **THEIRS)

    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "EGG_DATABASE_URL is not set, and DATABASE_URL may be another program's" in done.stderr


@pytest.mark.parametrize("program", [(EGG, "api"), (EGG, "flower"), PROGRAMS[-2]], ids=" ".join)
def test_a_program_of_ours_without_settings_says_how_to_have_them(program: tuple[str, ...]) -> None:
    done = run(*program)

    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "EGG_DATABASE_URL is not set: give postgresql://host/database, or use a local stack" in done.stderr
    assert "egg env)" in done.stderr


@pytest.mark.parametrize(
    "given",
    [
        {"EGG_REDIS_URL": "foo://host"},
        {"EGG_REDIS_URL": "nonsense"},
        {"EGG_REDIS_URL": "redis://host:99999999/0"},
        {"EGG_BROKER_URL": "nonsense"},
        {"EGG_DATABASE_URL": "nonsense"},
        {"EGG_RATE_LIMIT": "many"},
    ],
    ids=str,
)
def test_a_setting_of_another_shape_is_one_sentence_by_its_name(given: dict[str, str]) -> None:
    (name,) = given

    with pytest.raises(Unprocessable, match=f"^{name} must "):
        Settings.from_environment({**OURS, **given})


@pytest.mark.parametrize(
    "words", [("purge", "-f"), ("list", "bindings"), ("inspect", "active")], ids=" ".join
)
def test_a_command_of_celerys_says_a_sentence_when_its_broker_is_away(words: tuple[str, ...]) -> None:
    done = run(*PYTHON, "celery", "-A", "egg_tasks.app", *words, **AWAY)

    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "broker" in done.stderr


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = str(door.getsockname()[1])
        ours = run(EGG, "flower", "--port", port, **AWAY)
        celerys = run(*PYTHON, "celery", "-A", "egg_tasks.app", "flower", f"--port={port}", **AWAY)

    assert f"port {port} of 127.0.0.1 is taken by " in ours.stderr
    assert "the port is taken: give another one with --port" in celerys.stderr
    assert "Traceback" not in ours.stderr + celerys.stderr


@pytest.mark.parametrize("name", ["EGG_HOME", "XDG_DATA_HOME", "HOME"])
@pytest.mark.parametrize("text", ["/a:b", "/a\nb", "/\x1b[2J", "/\udcff", "~nobody-of-that-name/x"])
def test_a_place_that_agents_or_logs_could_not_name_is_one_sentence(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(Unprocessable, match=f"^{name} is .*set EGG_HOME to another place$"):
        default_home({name: text})


@pytest.mark.parametrize(
    ("given", "home"),
    [("/a/", "/a"), ("/a//b/", "/a/b"), ("/a/é %41,'\"b", "/a/é %41,'\"b"), ("b", str(Path.cwd() / "b"))],
)
def test_any_other_place_is_taken_as_it_is(given: str, home: str) -> None:
    assert str(default_home({"EGG_HOME": given})) == home


def test_a_node_may_refuse_what_has_no_container_of_its_own() -> None:
    assert not Settings.from_environment(OURS).needs_containers
    assert Settings.from_environment({**OURS, "EGG_ISOLATION": "docker"}).needs_containers

    with pytest.raises(Unprocessable, match="EGG_ISOLATION must be `process` or `docker`, not 'dokcer'"):
        Settings.from_environment({**OURS, "EGG_ISOLATION": "dokcer"})
