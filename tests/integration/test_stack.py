"""The local stack: its servers, its supervisor, and what survives whose death."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from egg_tasks import interpreter
from egg_tasks.config import celery_url
from egg_tasks.settings_table import BY_VARIABLE
from egg_tasks.stack import census, commands, lifecycle, lock, manifest, probes, tcp_ports
from egg_tasks.stack import home as homes
from egg_tasks.stack.children import Keeper
from egg_tasks.stack.processes import PROTECTION, Child, Program
from egg_tasks.stack.servers import servers
from egg_tasks.stack.silences import Beats, Knocks
from egg_tasks.stack.worker_health import Pings
from models.errors import Conflict, Unavailable
from tests.integration.small_stack import SUPERVISOR, WEB, end_of_outliving, environ, temporary_home, up

SECONDS = 30.0
NAMES = ["postgres", "valkey", "api", "worker"]
"""The processes of a small stack, in the order of their start."""


@pytest.fixture
def home(ready_cluster: Path) -> Iterator[Path]:
    """A home with a database and no more; what runs in it ends with the test."""
    with temporary_home(ready_cluster) as path:
        yield path


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A home that is not there yet."""
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
        return probes.http_answers(found.api_port, commands.READY_PATH)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_servers_gives_an_empty_database_and_a_broker(new_home: Path) -> None:
    with servers(new_home, environ()) as urls:
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


def test_sockets_of_a_home_with_a_long_path_are_short(new_home: Path) -> None:
    long = new_home.parent / ("x" * 60) / ("y" * 60)

    with servers(long, environ()) as urls:
        psycopg.connect(urls.database_url).close()
        found = homes.sockets(long)

    assert len(str(found)) < 50
    assert homes.sockets(long) == found
    copy = long.parent / ("z" * 60)
    shutil.copytree(long, copy, symlinks=True)
    of_the_copy = homes.sockets(copy)
    assert of_the_copy != found
    assert homes.sockets(copy.rename(new_home)) == new_home / "sockets"
    shutil.rmtree(found)
    shutil.rmtree(of_the_copy)


def test_up_brings_a_stack_that_is_found_and_down_ends_it(new_home: Path) -> None:
    found = up(new_home)

    assert answers(found)
    assert lifecycle.find(new_home) == found
    eventually(lambda: [each.name for each in census.read(new_home) if each.pid] == NAMES)
    assert (new_home / "stack.json").stat().st_mode & 0o777 == 0o600
    assert lifecycle.down(new_home) is True
    assert lifecycle.find(new_home) is None
    assert not answers(found)
    assert [each.pid for each in census.read(new_home)] == [None] * len(NAMES)
    assert lifecycle.down(new_home) is False


def test_stacks_started_at_once_are_one(new_home: Path) -> None:
    found: list[manifest.Manifest] = []
    threads = [threading.Thread(target=lambda: found.append(up(new_home))) for _ in range(4)]

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

    eventually(lambda: victim not in [each.pid for each in census.read(home) if each.pid])
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


def is_removed(path: Path) -> bool:
    """Remove a directory; whether it is gone now."""
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def test_a_stack_whose_home_is_removed_ends_and_another_comes_up_there(home: Path) -> None:
    before = up(home)
    children = [child_of(before.supervisor_pid, word) for word in ("postgres", "http.server", "valkey")]
    # What runs there may write a file while its directory is emptied: who removes a home goes on.
    eventually(partial(is_removed, home))

    after = up(home)

    eventually(lambda: not any(is_alive(pid) for pid in (before.supervisor_pid, *children) if pid))
    assert after.supervisor_pid != before.supervisor_pid
    eventually(lambda: answers(after))


def test_a_copy_of_a_home_has_a_door_and_a_token_of_its_own(home: Path) -> None:
    before = up(home)
    lifecycle.down(home)
    copy = home.with_name("copy")
    subprocess.run(["cp", "-a", str(home), str(copy)], check=True)

    said: list[str] = []
    try:
        of_the_copy = lifecycle.up(copy, report=said.append, environ=environ(), command=SUPERVISOR)
        after = up(home)
        again = up(copy)
    finally:
        lifecycle.down(copy)
        end_of_outliving(copy)

    assert any(f"a copy of {home}" in line for line in said)
    assert (after.api_port, after.operator_token) == (before.api_port, before.operator_token)
    assert {before.api_port, before.flower_port}.isdisjoint({of_the_copy.api_port, of_the_copy.flower_port})
    assert of_the_copy.operator_token != before.operator_token
    assert again == of_the_copy


def test_a_home_that_was_moved_keeps_its_door_and_its_token(home: Path) -> None:
    before = up(home)
    lifecycle.down(home)
    moved = home.rename(home.with_name("moved"))

    try:
        after = up(moved)
    finally:
        lifecycle.down(moved)
        end_of_outliving(moved)

    assert (after.api_port, after.operator_token) == (before.api_port, before.operator_token)


def test_what_workers_started_outlives_an_orderly_end(home: Path) -> None:
    up(home)
    eventually(lambda: (home / "outliving").exists() and (home / "outliving").read_text())

    lifecycle.down(home)

    assert is_alive(int((home / "outliving").read_text()))


def test_given_servers_are_used_and_not_started(new_home: Path) -> None:
    with servers(new_home.parent / "other", environ()) as urls:
        found = up(new_home, EGG_DATABASE_URL=urls.database_url, EGG_REDIS_URL=urls.redis_url)
        lifecycle.down(new_home)

    assert (found.database_url, found.redis_url) == urls
    assert not (new_home / "postgres").exists()


def test_the_password_of_a_given_server_is_in_no_file_of_the_home(new_home: Path) -> None:
    with servers(new_home.parent / "other", environ()) as urls:
        given = urls.database_url.replace("egg@", "egg:pl4nted@")
        found = up(new_home, EGG_DATABASE_URL=given, EGG_REDIS_URL=urls.redis_url)
        lifecycle.down(new_home)

    assert "postgresql://" in found.database_url
    files = [path for path in new_home.rglob("*") if path.is_file()]
    assert [path for path in files if b"pl4nted" in path.read_bytes()] == []


def test_servers_of_other_programs_are_left_alone(home: Path) -> None:
    theirs = {"DATABASE_URL": "postgresql://127.0.0.1:1/shop", "REDIS_URL": "redis://127.0.0.1:1/0"}

    found = up(home, **theirs)

    assert "127.0.0.1:1/" not in found.database_url + found.redis_url
    assert answers(found)


def test_a_database_with_others_tables_takes_ours_beside_them(new_home: Path) -> None:
    with servers(new_home.parent / "other", environ()) as urls:
        with psycopg.connect(urls.database_url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE events (theirs text); CREATE TABLE alembic_version (version_num text)"
            )
        up(new_home, EGG_DATABASE_URL=urls.database_url)
        with psycopg.connect(urls.database_url) as connection:
            theirs = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            ours = connection.execute("SELECT count(*) FROM egg.events").fetchone()
        lifecycle.down(new_home)

    assert sorted(theirs) == [("alembic_version",), ("events",)]
    assert ours == (0,)


def test_a_broker_that_is_given_for_itself_reaches_our_processes(home: Path) -> None:
    up(home)
    found = manifest.read(home)
    given = environ(EGG_BROKER_URL="amqp://broker")

    env = commands.environment(home, given, found)

    assert env["EGG_BROKER_URL"] == "amqp://broker"


def test_our_processes_get_nothing_else_of_the_users_environment(new_home: Path) -> None:
    given = environ(
        EGG_NODE_CAPACITY="3",
        EGG_SESSION_TOKEN="an agent's",
        ANTHROPIC_API_KEY="secret",
        PYTHONPATH="/x",
        DATABASE_URL="postgresql://theirs/shop",
        CELERY_BROKER_URL="amqp://theirs",
    )

    found = commands.environment(new_home, given, None)

    names = {"EGG_AGENTS_PATH", "EGG_HOME", "EGG_NODE_CAPACITY", "HOME", "LANG", "PATH"}
    assert {name for name in found if found[name]} == names | set(commands.LARGE_PAGES)
    # Nor what settings.toml says later: a setting that is not set is there as such.
    assert {name for name in found if not found[name]} == set(BY_VARIABLE) - names - {"EGG_DEBUG"}


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
            tier=commands.WORKERS,
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


BEATING = """
import time
from egg_tasks import logging
while True:
    logging.beat()
    time.sleep(0.02)
"""
DEAF = """
import http.server, sys, time
class Door(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Door.asked += 1
        time.sleep(600 if Door.asked > 3 else 0)
        self.send_response(503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""


def replaced(home: Path, program: Program, watch: Knocks | Beats, *, stop: bool) -> list[Child]:
    """Run a program until a watch finds it hung; it is stopped once it was seen to get on."""
    keeper = Keeper(home / "logs")
    (home / "logs").mkdir(parents=True)
    keeper.start([program], timeout=SECONDS)
    hung: list[Child] = []
    try:
        for looks in range(2000):
            hung = watch.hung(keeper.running())
            if hung:
                return hung
            if stop and looks == 300:
                os.kill(keeper.running()[0][0].pid, signal.SIGSTOP)
            time.sleep(0.01)
    finally:
        watch.stop()
        for child, _ in keeper.running():
            child.kill()
        keeper.stop()
    return hung


HANGING_UP = """
import socket, sys
door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    door.accept()[0].close()
"""


def test_a_crowded_server_that_hangs_up_is_none_that_hangs(new_home: Path) -> None:
    port = tcp_ports.choose(23456)
    code = (sys.executable, "-c", HANGING_UP, str(port))
    program = Program(name="api", argv=code, environment=environ(), tier=commands.FRONT, door=port)

    assert replaced(new_home, program, Knocks(period=1, patience=200), stop=False) == []


@pytest.mark.parametrize("how", ["stopped", "blocked"])
def test_a_server_that_answers_nobody_is_found_though_it_lives(home: Path, how: str) -> None:
    port = tcp_ports.choose(23456)
    code = WEB if how == "stopped" else DEAF
    program = Program(
        name="api",
        argv=(sys.executable, "-c", code, str(port)),
        environment=environ(),
        tier=commands.FRONT,
        door=port,
    )

    hung = replaced(home, program, Knocks(period=5, patience=50), stop=how == "stopped")

    assert [child.program.name for child in hung] == ["api"]


def test_a_loop_that_stands_still_is_found_though_it_lives(new_home: Path) -> None:
    program = Program(
        name="reconciler",
        argv=(sys.executable, "-c", BEATING),
        environment=environ(PYTHONPATH=str(interpreter.OURS)),
        tier=commands.FRONT,
        beats=True,
    )

    hung = replaced(new_home, program, Beats(silence=250), stop=True)

    assert [child.program.name for child in hung] == ["reconciler"]


def test_what_cannot_be_started_is_tried_again_and_keeps_nobody_else_from_it(new_home: Path) -> None:
    keeper = Keeper(new_home / "logs")
    (new_home / "logs").mkdir(parents=True)
    said: list[str] = []

    def refuse() -> None:
        said.append("no")
        if len(said) < 4:
            raise [Unavailable("not now"), OSError(errno.ENOSPC, "full"), OSError(errno.EMFILE, "many")][
                len(said) - 1
            ]

    sleeper = Program(name="b", argv=("sleep", "600"), environment={}, tier=1)
    dying = Program(name="a", argv=("false",), environment={}, tier=1)
    keeper.start([dying, sleeper], timeout=SECONDS)
    dying_again = next(kept for kept in keeper._kept if kept.program is dying)
    dying_again.program = replace(dying, before=refuse)
    try:
        deadline = time.monotonic() + SECONDS
        while len(said) < 4 and time.monotonic() < deadline:
            keeper.tend()
            dying_again.not_before = 0.0
            time.sleep(0.01)
        living = [child.program.name for child, _ in keeper.running()]
    finally:
        keeper.stop()

    assert len(said) == 4
    assert "b" in living


def test_the_kernel_takes_others_before_the_stack_where_that_may_be_asked_for(home: Path) -> None:
    asking = f"import pathlib; pathlib.Path('/proc/self/oom_score_adj').write_text('{PROTECTION}')"
    may = subprocess.run([sys.executable, "-c", asking], capture_output=True, check=False).returncode == 0
    found = up(home)

    adjusted = {
        Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
        for pid in (found.supervisor_pid, child_of(found.supervisor_pid, "postgres"))
    }

    expected = str(PROTECTION) if may else Path("/proc/self/oom_score_adj").read_text().strip()
    assert adjusted == {expected}


STARTER = """
import pathlib, signal, sys
from egg_tasks.stack import lifecycle
from tests.integration.small_stack import SUPERVISOR, environ
signal.signal(signal.SIGINT, signal.default_int_handler)
home, tell = pathlib.Path(sys.argv[1]), lambda line: print(line, flush=True)
lifecycle.up(home, report=tell, environ=environ(), command=SUPERVISOR)
"""


@pytest.mark.parametrize(
    ("number", "after"),
    [
        (signal.SIGINT, "starting postgres"),
        (signal.SIGINT, "checking database"),
        (signal.SIGINT, "starting api"),
        (signal.SIGKILL, "starting postgres"),
    ],
    ids=["interrupted early", "interrupted at the schema", "interrupted late", "killed"],
)
def test_a_start_that_is_given_up_leaves_nothing_behind(
    new_home: Path, number: signal.Signals, after: str
) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(new_home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with starting:
        assert starting.stdout is not None
        next(line for line in starting.stdout if line.startswith(after))
        starting.send_signal(number)

    if number is signal.SIGKILL:
        eventually(lambda: lock.holder(new_home) is None)
    assert lock.holder(new_home) is None
    assert not probes.postgres_answers(
        new_home / "sockets/postgres/.s.PGSQL.5432", user="egg", database="egg"
    )
    assert list(new_home.glob("postgres.new-*")) == []
