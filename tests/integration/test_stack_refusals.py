"""What the local stack says when something is wrong, and what its doctor finds."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from egg_tasks.stack import binaries, doctor, lifecycle
from egg_tasks.stack.servers import servers
from models.errors import EggError, Unavailable, Unprocessable
from tests.integration.small_stack import environ, temporary_home, up


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that is not there yet; what runs in it ends with the test."""
    with temporary_home() as path:
        yield path


@pytest.fixture
def ready_home(ready_cluster: Path) -> Iterator[Path]:
    """A home with a database and no more."""
    with temporary_home(ready_cluster) as path:
        yield path


def refusal(home: Path, **more: str) -> str:
    with pytest.raises(EggError) as caught:
        up(home, **more)
    assert isinstance(caught.value, (Unavailable, Unprocessable))
    return str(caught.value)


def test_a_program_that_does_not_start_is_quoted(ready_home: Path) -> None:
    assert "no teapot" in refusal(ready_home, EGG_TEST_BROKEN="yes")
    assert lifecycle.find(ready_home) is None


def test_a_port_that_is_taken_is_named_with_its_holder(ready_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = refusal(ready_home, EGG_API_PORT=str(port))

    assert f"port {port}" in said
    assert f"process {os.getpid()}" in said
    assert "EGG_API_PORT" in said


def test_a_kept_port_that_is_taken_is_not_silently_changed(ready_home: Path) -> None:
    port = up(ready_home).api_port
    lifecycle.down(ready_home)

    with socket.create_server(("127.0.0.1", port)):
        said = refusal(ready_home)

    assert f"port {port}" in said
    assert str(ready_home / "stack.json") in said


def test_a_data_directory_that_cannot_be_made_is_named(home: Path) -> None:
    home.write_text("a file")

    assert str(home) in refusal(home / "below")


@pytest.mark.parametrize("name", ["-rf é $x `y` (z)*[w]\\q a'b\"c d%41,e;f&g?h#i=j", "x" * 200])
def test_a_data_directory_may_have_an_odd_name_and_the_programs_lie_where_root_alone_reads(
    home: Path, name: str
) -> None:
    odd, closed = home / name, home / "closed"
    home.mkdir(mode=0o711)
    closed.mkdir(mode=0o700)
    programs = binaries.find_postgres(environ())
    package = programs.parents[1]
    for part in package.parent.glob(f"{package.name}*"):
        (closed / part.name).symlink_to(part)

    found = up(
        odd, EGG_POSTGRES_BIN=str(closed / binaries.find_postgres(environ()).relative_to(package.parent))
    )

    with psycopg.connect(found.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert lifecycle.down(odd)
    for short in ("sockets", "programs"):
        shutil.rmtree((odd / short).resolve(), ignore_errors=True)


def test_a_data_directory_may_be_a_link_and_have_slashes_behind_it(home: Path) -> None:
    home.mkdir(mode=0o711)
    (home / "real").mkdir(mode=0o711)
    (home / "link").symlink_to("real")

    up(Path(f"{home}/link//"))

    assert lifecycle.down(home / "real")


def test_a_directory_that_is_in_use_for_something_else_is_refused_and_left_as_it_is(home: Path) -> None:
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    (home / "letters").touch()

    said = refusal(home)

    assert "is in use for something else (it holds 'letters'): set EGG_HOME" in said
    assert [path.name for path in home.iterdir()] == ["letters"]
    assert home.stat().st_mode & 0o777 == 0o755


def test_a_machine_without_loopback_is_told_so_in_a_sentence(home: Path) -> None:
    alone = shutil.which("unshare")
    if alone is None or subprocess.run([alone, "-n", "true"], capture_output=True, check=False).returncode:
        assert "CI" not in os.environ, "CI is root and has unshare"
        pytest.skip("a network of one's own needs unshare and root")
    egg = [alone, "-n", str(Path(sys.executable).parent / "egg")]
    environment = environ(EGG_HOME=str(home))

    said = [
        subprocess.run([*egg, verb], env=environment, capture_output=True, text=True, check=False)
        for verb in ("up", "doctor")
    ]

    assert [each.returncode for each in said] == [1, 1]
    assert said[0].stderr.count("\n") == 1
    assert all("ip link set lo up" in each.stderr + each.stdout for each in said)
    assert not any("Traceback" in each.stderr for each in said)


def test_a_data_directory_on_a_full_disk_is_named(home: Path) -> None:
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        assert "CI" not in os.environ, "CI is root and mounts a tmpfs"
        pytest.skip("no tmpfs can be mounted here: that takes root")
    try:
        said = refusal(home)
    finally:
        subprocess.run(["umount", str(home)], check=True)

    assert "is full" in said
    assert "256 MB needed" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has servers run as nobody")
def test_a_data_directory_that_nobody_cannot_reach_is_refused_to_root(home: Path) -> None:
    home.mkdir(mode=0o700)

    assert f"{home} is closed to others" in refusal(home / "stack")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has servers run as nobody")
def test_programs_that_nobody_may_not_read_are_copied(home: Path) -> None:
    closed = home.parent / "closed"
    wheel = binaries.find_postgres(environ()).parents[1]
    libraries = wheel.with_name(wheel.name + ".libs")
    for part in (wheel / "pginstall18", libraries):
        shutil.copytree(part, closed / part.relative_to(wheel.parent), symlinks=True)
    closed.chmod(0o700)

    given = environ(EGG_POSTGRES_BIN=str(closed / wheel.name / "pginstall18/bin"))
    with servers(home, given) as urls:
        psycopg.connect(urls.database_url).close()


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("EGG_DATABASE_URL", "postgresql://egg:hidden@127.0.0.1:1/egg"),
        ("EGG_REDIS_URL", "redis://:hidden@127.0.0.1:1/0"),
        ("EGG_BROKER_URL", "redis://:hidden@127.0.0.1:1/0"),
        ("EGG_BROKER_URL", "amqp://egg:hidden@127.0.0.1:1//"),
    ],
)
def test_a_given_server_that_does_not_answer_is_named_without_its_password(
    ready_home: Path, variable: str, url: str
) -> None:
    said = refusal(ready_home, **{variable: url})

    assert "127.0.0.1:1" in said
    assert variable in said
    assert "hidden" not in said


@pytest.mark.parametrize("variable", ["EGG_POSTGRES_BIN", "EGG_REDIS_BIN"])
def test_a_named_program_that_is_not_there_is_refused(home: Path, variable: str) -> None:
    assert variable in refusal(home, **{variable: "/nowhere"})


def test_the_doctor_sees_what_is_there_and_what_is_missing(home: Path) -> None:
    given = environ(
        EGG_REDIS_BIN="/nowhere",
        EGG_DATABASE_URL="postgresql://127.0.0.1:1/egg",
        EGG_WEBHOOK_URL="https://hook.example",
        DATABASE_URL="postgresql://theirs:hidden@127.0.0.1/shop",
    )

    found = {finding.name: finding for finding in doctor.examine(home, given)}

    assert found["python"].ok
    assert found["data directory"].ok
    assert found["stack"].ok is None
    assert found["PostgreSQL"].ok is False
    assert found["Valkey"].ok is False
    assert found["other programs"].text == "DATABASE_URL left alone"
    assert found["webhook"].ok is False
    assert "hook.example" not in found["webhook"].text
    assert all(finding.mend for finding in found.values() if not finding.ok)
    assert not home.exists()


def test_the_doctor_finds_a_running_stack_well(ready_home: Path) -> None:
    up(ready_home)

    found = {finding.name: finding for finding in doctor.examine(ready_home, environ())}

    assert found["stack"].ok, found["stack"].text
    assert found["port"].ok
