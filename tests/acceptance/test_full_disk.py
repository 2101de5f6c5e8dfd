"""The disk of a stack is full for a while, or nothing can be logged: all of it goes on by itself."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg, unchosen_ports
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

FULL_SECONDS = 30
AGENT = """
touch "$STAGE/at-work-$EGG_AGENT_ROLE"
until [ -e "$STAGE/go" ]; do sleep 0.2; done
until head -c 3000000 /dev/urandom >$EGG_AGENT_ROLE.bin && git add . && git commit -qm work; do sleep 1; done
until egg signal readiness --state READY --reason "worked"; do sleep 2; done
"""
LATE = """
echo late >late.txt && git add . && git commit -qm late
egg signal readiness --state READY --reason "worked late"
"""


@pytest.fixture
def small() -> Iterator[Egg]:
    """A stack on a small disk of its own."""
    top = Path(tempfile.mkdtemp(prefix="egg-full-", dir="/tmp"))
    top.chmod(0o711)
    home = top / "egg"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=450m,mode=711", "tmpfs", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        assert "CI" not in os.environ, "CI is root and mounts a tmpfs"
        pytest.skip("no tmpfs can be mounted here: that takes root")
    stack = Egg(home, {**unchosen_ports(), "HOME": str(top)})
    try:
        yield stack
    finally:
        stack.run("down", "--agents", check=False)
        stack.kill(str(home))
        subprocess.run(["umount", "-l", str(home)], check=False)
        shutil.rmtree(top, ignore_errors=True)


def fill(home: Path) -> Path:
    """Leave no byte on the disk; the file that is in the way."""
    filler = home / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    return filler


def test_all_goes_on_after_the_disk_was_full_and_workers_died_meanwhile(
    small: Egg, shop: Path, tmp_path: Path
) -> None:
    small.run("up")
    stage = Stage(small, shop, tmp_path)
    # One that could not start twice would be a failure, and ask a person.
    stage.play("works", {"one": AGENT, "two": AGENT})
    small.wait(lambda: len(list(tmp_path.glob("at-work-*"))) == 2, why="both agents")
    stage.play("waits", {"late": LATE}, roles=[{"role": "late"}])

    filler = fill(small.home)
    (tmp_path / "go").touch()
    began = time.monotonic()
    killed = small.kill("celery", "worker")
    server = small.kill("postgres", "-D")
    said = set()
    while time.monotonic() < began + FULL_SECONDS:
        done = small.run("why", "works", check=False)
        said.add("no room on the disk of" in done.stdout + done.stderr)
        time.sleep(1)
    doctor = small.run("doctor", check=False)
    filler.unlink()

    assert (killed, server) >= (2, 1)
    assert said == {True}
    assert " kB free" in doctor.stdout, doctor
    for name in ("works", "waits"):
        assert stage.end(name) == ("complete", "consensus"), small.run("events", name).stdout
        assert small.json("decision", "list", name)["decisions"] == []
    for role in ("one", "two"):
        stage.git("works", "cat-file", "-e", f"egg/works/work:{role}.bin")
        assert len(stage.runs("works", role)) == 1
    log = (small.home / "logs/supervisor.log").read_text()
    assert log.count("stack.has_room") == 1


def test_a_stack_that_can_log_nothing_does_its_work(small: Egg, shop: Path, tmp_path: Path) -> None:
    (small.home / "logs").mkdir(mode=0o700)
    for name in (
        "supervisor",
        "postgres",
        "valkey",
        "api",
        "gateway",
        "reconciler",
        "flower",
        "worker-control",
        "worker-agents",
    ):
        (small.home / f"logs/{name}.log").symlink_to("/dev/full")
    small.run("up")
    stage = Stage(small, shop, tmp_path)

    small.kill("egg_tasks.reconciler")
    small.kill("celery", "worker")
    stage.play("silent", {"late": LATE})

    assert stage.end("silent") == ("complete", "consensus")
