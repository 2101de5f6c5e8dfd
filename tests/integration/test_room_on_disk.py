"""A full disk is told from a fault: by git, by the runner, and by the API."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from egg_tasks import disk
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.workspace.git import Git
from models.errors import NoRoom, Unavailable
from tests.integration.runner_scene import launch


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MB."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=755", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        assert "CI" not in os.environ, "CI is root and mounts a tmpfs"
        pytest.skip("no tmpfs can be mounted here: that takes root")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(directory: Path) -> Path:
    with (directory / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    return directory / "filler"


def test_room_that_is_short_is_named_with_its_place(small: Path) -> None:
    assert disk.shortage(small / "not/yet/there") is None

    fill(small)

    said = str(disk.shortage(small / "not/yet/there"))
    assert re.match(rf"no room on the disk of {small}/not/yet/there: \d+ kB free; everything goes on", said)


def test_git_on_a_full_disk_lacks_room_and_its_repository_is_not_to_blame(small: Path) -> None:
    git = Git(small / "r.git")
    git.directory.mkdir()
    git.run("init", "--quiet", "--bare", "--template=")
    filler = fill(small)

    with pytest.raises(NoRoom, match="no room on the disk"):
        git.run("hash-object", "-w", "--stdin", stdin=os.urandom(1 << 20))

    filler.unlink()
    git.run("hash-object", "-w", "--stdin", stdin=os.urandom(1 << 20))


def test_who_names_a_file_like_a_full_disk_is_not_believed(tmp_path: Path) -> None:
    git = Git(tmp_path / "r.git")
    git.directory.mkdir()
    git.run("init", "--quiet", "--bare", "--template=")

    with pytest.raises(Unavailable) as caught:
        git.run("cat-file", "-p", "No space left on device")

    assert not isinstance(caught.value, NoRoom)


def test_a_run_that_cannot_be_laid_out_lacks_room(small: Path) -> None:
    runner = ProcessRunner(small / "runs")
    filler = fill(small)
    run = launch("", argv=(sys.executable, "-c", "print('up')"))

    with pytest.raises(NoRoom):
        runner.ensure(run)

    filler.unlink()
    runner.ensure(run)
    assert runner.has_started(run.run_id)
    runner.kill(run.run_id)
