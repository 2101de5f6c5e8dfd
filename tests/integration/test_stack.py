"""The local stack: its servers, its supervisor, and what survives whose death."""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from egg_tasks.config import celery_url
from egg_tasks.stack import home as homes
from egg_tasks.stack import local, lock, manifest, probes, programs
from egg_tasks.stack.keeper import Keeper
from egg_tasks.stack.pings import Pings
from egg_tasks.stack.processes import Child, Program
from egg_tasks.stack.servers import servers
from models.errors import Conflict
from tests.integration.small_stack import environ, temporary_home, up

SECONDS = 30.0


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh home; what runs in it ends with the test."""
    with temporary_home() as path:
        yield path


def eventually(truth: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not truth():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def child_of(pid: int, word: str) -> int | None:
    """The child of a process whose command line holds *word*."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if word in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
    return None


def kill(parent: int, word: str) -> int:
    """Kill a child as nothing survives; its process id."""
    pid = child_of(parent, word)
    assert pid, f"there is no {word}"
    os.kill(pid, signal.SIGKILL)
    return pid


def answers(found: manifest.Manifest) -> bool:
    with contextlib.suppress(psycopg.Error, RedisError):
        psycopg.connect(found.database_url).close()
        Redis.from_url(found.redis_url).ping()
        return probes.http_answers(found.api_port, programs.READY_PATH)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_servers_gives_an_empty_database_and_a_broker(home: Path) -> None:
    with servers(home, environ()) as urls:
        with psycopg.connect(urls.database_url) as connection:
            row = connection.execute(
                "SELECT current_database(), count(*) FROM pg_stat_user_tables"
            ).fetchone()
        with Redis.from_url(urls.redis_url) as broker:
            policy = broker.config_get("maxmemory-policy")

    assert row == ("egg", 0)
    assert policy == {"maxmemory-policy": "noeviction"}


def test_a_home_has_one_starter_at_a_time(home: Path) -> None:
    with servers(home, environ()), pytest.raises(Conflict, match="already runs"), servers(home, environ()):
        pass


def test_what_was_committed_is_there_after_all_servers_were_killed(home: Path) -> None:
    with servers(home, environ()) as urls:
        with psycopg.connect(urls.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        for part in ("postgres", "valkey"):
            # Not the servers of all other tests, which are this process's children as well.
            kill(os.getpid(), f"{home}/sockets/{part}")

    with servers(home, environ()) as urls, psycopg.connect(urls.database_url) as connection:
        found = connection.execute("SELECT number FROM kept").fetchone()

    assert found == (7,)


def test_a_stale_lock_that_names_a_living_stranger_is_no_obstacle(home: Path) -> None:
    with servers(home, environ()):
        lock_text = (home / "postgres/postmaster.pid").read_text().splitlines()
    (home / "postgres/postmaster.pid").write_text("\n".join(["1", *lock_text[1:]]) + "\n")

    with servers(home, environ()) as urls:
        psycopg.connect(urls.database_url).close()


def test_sockets_of_a_home_with_a_long_path_are_short(home: Path) -> None:
    long = home.parent / ("x" * 60) / ("y" * 60)

    with servers(long, environ()) as urls:
        psycopg.connect(urls.database_url).close()
        found = homes.sockets(long)

    assert len(str(found)) < 50
    shutil.rmtree(found)


def test_up_brings_a_stack_that_is_found_and_down_ends_it(home: Path) -> None:
    found = up(home)

    assert answers(found)
    assert local.find(home) == found
    assert (home / "stack.json").stat().st_mode & 0o777 == 0o600
    assert local.down(home) is True
    assert local.find(home) is None
    assert not answers(found)
    assert local.down(home) is False


def test_stacks_started_at_once_are_one(home: Path) -> None:
    found: list[manifest.Manifest] = []
    threads = [threading.Thread(target=lambda: found.append(up(home))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len({each.supervisor_pid for each in found}) == 1


@pytest.mark.parametrize("word", ["postgres", "valkey", "http.server"])
def test_what_dies_is_started_again(home: Path, word: str) -> None:
    found = up(home)

    victim = kill(found.supervisor_pid, word)

    eventually(lambda: child_of(found.supervisor_pid, word) not in {None, victim})
    eventually(lambda: answers(found))


def test_a_stack_killed_altogether_comes_up_at_the_same_door(home: Path) -> None:
    before = up(home)
    children = [child_of(before.supervisor_pid, word) for word in ("postgres", "valkey", "http.server")]
    for pid in (before.supervisor_pid, *children):
        assert pid
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: lock.holder(home) is None)

    after = up(home)

    assert (after.api_port, after.operator_token) == (before.api_port, before.operator_token)
    assert answers(after)


def test_when_the_supervisor_dies_its_children_end_and_theirs_do_not(home: Path) -> None:
    found = up(home)
    eventually(lambda: (home / "outliving").exists() and (home / "outliving").read_text())
    outliving = int((home / "outliving").read_text())
    children = [child_of(found.supervisor_pid, word) for word in ("postgres", "http.server", "valkey")]

    os.kill(found.supervisor_pid, signal.SIGKILL)

    eventually(lambda: not any(is_alive(pid) for pid in children if pid))
    assert is_alive(outliving)


def test_a_stack_whose_home_is_removed_ends_and_another_comes_up_there(home: Path) -> None:
    before = up(home)
    children = [child_of(before.supervisor_pid, word) for word in ("postgres", "http.server", "valkey")]
    shutil.rmtree(home)

    after = up(home)

    eventually(lambda: not any(is_alive(pid) for pid in (before.supervisor_pid, *children) if pid))
    assert after.supervisor_pid != before.supervisor_pid
    eventually(lambda: answers(after))


def test_what_workers_started_outlives_an_orderly_end(home: Path) -> None:
    up(home)
    eventually(lambda: (home / "outliving").exists() and (home / "outliving").read_text())

    local.down(home)

    assert is_alive(int((home / "outliving").read_text()))


def test_given_servers_are_used_and_not_started(home: Path) -> None:
    with servers(home.parent / "other", environ()) as urls:
        found = up(home, EGG_DATABASE_URL=urls.database_url, EGG_REDIS_URL=urls.redis_url)
        local.down(home)

    assert (found.database_url, found.redis_url) == urls
    assert not (home / "postgres").exists()


def test_servers_of_other_programs_are_left_alone(home: Path) -> None:
    theirs = {"DATABASE_URL": "postgresql://127.0.0.1:1/shop", "REDIS_URL": "redis://127.0.0.1:1/0"}

    found = up(home, **theirs)

    assert "127.0.0.1:1/" not in found.database_url + found.redis_url
    assert answers(found)


def test_a_database_with_others_tables_takes_ours_beside_them(home: Path) -> None:
    with servers(home.parent / "other", environ()) as urls:
        with psycopg.connect(urls.database_url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE events (theirs text); CREATE TABLE alembic_version (version_num text)"
            )
        up(home, EGG_DATABASE_URL=urls.database_url)
        with psycopg.connect(urls.database_url) as connection:
            theirs = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            ours = connection.execute("SELECT count(*) FROM egg.events").fetchone()
        local.down(home)

    assert sorted(theirs) == [("alembic_version",), ("events",)]
    assert ours == (0,)


def test_a_broker_that_is_given_for_itself_reaches_our_processes(home: Path) -> None:
    up(home)
    found = manifest.read(home)
    given = environ(EGG_BROKER_URL="amqp://broker")

    env = programs.environment(home, given, found)

    assert env["EGG_BROKER_URL"] == "amqp://broker"


def test_our_processes_get_nothing_else_of_the_users_environment(home: Path) -> None:
    given = environ(
        EGG_NODE_CAPACITY="3",
        EGG_SESSION_TOKEN="an agent's",
        ANTHROPIC_API_KEY="secret",
        PYTHONPATH="/x",
        DATABASE_URL="postgresql://theirs/shop",
        CELERY_BROKER_URL="amqp://theirs",
    )

    found = programs.environment(home, given, None)

    names = {"EGG_AGENTS_PATH", "EGG_HOME", "EGG_NODE_CAPACITY", "HOME", "LANG", "PATH"}
    assert set(found) == names | set(programs.LARGE_PAGES)


def test_a_worker_that_hangs_is_found_by_its_silence(home: Path) -> None:
    with servers(home, environ()) as urls:
        env = environ(EGG_REDIS_URL=urls.redis_url, CELERY_BROKER_URL=celery_url(urls.redis_url))
        worker = Program(
            name="control",
            argv=(
                sys.executable,
                "-m",
                "celery",
                "worker",
                "-n",
                "control@local",
                "-P",
                "threads",
                "-l",
                "INFO",
            ),
            environment=env,
            tier=programs.WORKERS,
            celery_node="control@local",
        )
        keeper = Keeper(home / "logs")
        keeper.start([worker], timeout=SECONDS)
        pings = Pings(env, period=1)
        hung: list[Child] = []
        try:
            eventually(lambda: "ready" in (home / "logs/control.log").read_text())
            [(child, _)] = keeper.running()
            os.kill(child.pid, signal.SIGSTOP)
            deadline = time.monotonic() + 90
            while not hung and time.monotonic() < deadline:
                hung = pings.hung(keeper.running())
                time.sleep(0.1)
            child.kill()
        finally:
            pings.stop()
            keeper.stop()

    assert hung == [child]
