"""What other users of the machine reach of a stack that root runs: nothing."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from egg_tasks.stack import binaries, postgres, run_as
from egg_tasks.stack.servers import Urls, servers
from models.errors import Unprocessable
from tests.integration.small_stack import environ, temporary_home

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

NOBODY = 65534
SAY = """
import encodings.idna, os, socket, sys
kind, path, user = sys.argv[1:]
os.setgroups([])
os.setgid(int(user))
os.setuid(int(user))
door = socket.socket(socket.AF_UNIX)
door.settimeout(5)
try:
    door.connect(path)
    words = b"user\\0egg\\0database\\0egg\\0\\0"
    start = (len(words) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + words
    door.sendall(start if kind == "postgres" else b"PING\\r\\n")
    print(door.recv(4096)[:1].decode())
except PermissionError:
    print("closed")
"""
"""Asks a server to be let in as the database's superuser, or if it is there: its answer's first letter."""


@pytest.fixture
def home() -> Iterator[Path]:
    with temporary_home() as path:
        yield path


@pytest.fixture(scope="module")
def stack(ready_cluster: Path) -> Iterator[tuple[Path, Urls]]:
    """A home whose servers run."""
    with temporary_home(ready_cluster) as path, servers(path, environ()) as urls:
        yield path, urls


def asked_by_nobody(kind: str, socket: Path) -> str:
    # Python itself may lie where nobody else may read
    command = [sys.executable, "-I", "-c", SAY, kind, str(socket), str(NOBODY)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def sockets(home: Path) -> dict[str, Path]:
    return {
        "postgres": home / "sockets/postgres/.s.PGSQL.5432",
        "valkey": home / "sockets/valkey/valkey.sock",
    }


@pytest.mark.parametrize("kind", ["postgres", "valkey"])
def test_another_user_does_not_reach_a_servers_socket(stack: tuple[Path, Urls], kind: str) -> None:
    home, _ = stack

    assert asked_by_nobody(kind, sockets(home)[kind]) == "closed"


def test_another_user_who_reaches_the_socket_is_not_let_in(stack: tuple[Path, Urls]) -> None:
    socket = sockets(stack[0])["postgres"]
    socket.parent.chmod(0o711)
    socket.chmod(0o777)

    said = asked_by_nobody("postgres", socket)

    socket.parent.chmod(0o700)
    assert said == "E"


def test_the_servers_account_is_nobody_elses(stack: tuple[Path, Urls]) -> None:
    home, _ = stack
    number = int((home / "postgres/postmaster.pid").read_text().split()[0])

    found = Path(f"/proc/{number}").stat().st_uid

    assert found not in {0, *(entry.pw_uid for entry in pwd.getpwall())}
    owners = {path.lstat().st_uid for path in (home / "postgres").rglob("*")}
    assert owners == {found, (home / "postgres").stat().st_uid} == {found}


def test_what_says_who_is_let_in_is_not_the_servers_to_change(stack: tuple[Path, Urls]) -> None:
    home, urls = stack
    with psycopg.connect(urls.database_url) as connection:
        files = [connection.execute(f"SHOW {name}_file").fetchone() for name in ("hba", "ident")]

    paths = [Path(row[0]) for row in files if row]

    assert len(paths) == 2
    for path in (*paths, *(each.parent for each in paths)):
        assert path.stat().st_uid == 0
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        assert path.is_relative_to(home)


def test_of_what_else_is_in_a_home_another_user_sees_nothing(home: Path) -> None:
    home.mkdir(mode=0o711)
    for name in ("repos", "runs", "roles"):
        (home / name).mkdir(mode=0o755)
    (home / "settings.toml").write_text("")
    with servers(home, environ()):
        pass

    open_to_others = {path.name for path in home.iterdir() if path.stat().st_mode & 0o077}

    assert open_to_others <= {"postgres.access", "programs", "sockets"}


def of_the_last_release(home: Path) -> None:
    """A cluster as 0.1.0 made it: of the user nobody, who trusts whoever comes."""
    home.mkdir(mode=0o711)
    programs = postgres._runnable(binaries.find_postgres(environ()), run_as.Account(NOBODY, NOBODY), home)
    directory = home / "postgres"
    directory.mkdir(mode=0o700)
    os.chown(directory, NOBODY, NOBODY)
    options = ("--username", "egg", "--auth-local=trust", "--auth-host=reject", "--locale=C")
    for command, say in (
        (("initdb", *options), ""),
        (("postgres", "--single", "postgres"), "CREATE DATABASE egg\n"),
        (("postgres", "--single", "egg"), "CREATE TABLE kept AS SELECT 7 AS n\n"),
    ):
        subprocess.run(
            [str(programs / command[0]), *command[1:]],
            input=say,
            text=True,
            check=True,
            capture_output=True,
            cwd="/",
            env={"LC_ALL": "C", "TZ": "UTC", "PGDATA": str(directory)},
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )


def test_a_cluster_of_the_last_release_is_moved_over_even_if_that_was_cut_short(home: Path) -> None:
    of_the_last_release(home)
    # where a crash may leave it: closed, some of it done
    os.chown(home / "postgres", 0, 0)
    for path in (home / "postgres/base").rglob("*"):
        os.chown(path, 1900000000, 1900000000)

    with servers(home, environ()) as urls:
        with psycopg.connect(urls.database_url) as connection:
            found = connection.execute("SELECT n FROM kept").fetchone()
        said = asked_by_nobody("postgres", sockets(home)["postgres"])
        owners = {path.lstat().st_uid for path in (home / "postgres").rglob("*")}

    assert found == (7,)
    assert said == "closed"
    assert len(owners) == 1
    assert owners.isdisjoint({0, NOBODY, 1900000000})


def test_a_file_of_others_is_not_given_away_with_a_cluster(home: Path) -> None:
    home.mkdir()
    tree = home / "postgres"
    tree.mkdir(mode=0o700)
    (home / "of root").write_text("secret")
    (tree / "second name").hardlink_to(home / "of root")
    (tree / "link").symlink_to(home / "of root")

    with pytest.raises(Unprocessable, match="two names"):
        run_as.own_tree(tree, run_as.Account(1900000000, 1900000000))

    assert (home / "of root").stat().st_uid == 0
    shutil.rmtree(tree)
