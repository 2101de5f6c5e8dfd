"""Removing what agents left: nothing else goes with it, whatever they put there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from egg_tasks import removal

DEEP = 3000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory of ours, with a run's in it."""
    (tmp_path / "runs" / "run" / "clone").mkdir(parents=True)
    return tmp_path / "runs"


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A directory of somebody else's, with something in it."""
    other = tmp_path / "stranger"
    other.mkdir()
    (other / "precious").write_text("mine")
    return other


def remove(home: Path, name: str) -> bool:
    """Remove something in a home; whether nothing is left of it."""
    removal.put_away(home, name)
    return removal.empty(home, seconds=60)


def test_links_are_removed_and_never_followed(home: Path, stranger: Path) -> None:
    (home / "run/clone/out").symlink_to(stranger)
    (home / "run/clone/file").symlink_to(stranger / "precious")

    assert remove(home, "run")

    assert not (home / "run").exists()
    assert (stranger / "precious").read_text() == "mine"


def test_a_link_on_the_way_leads_nowhere(home: Path, stranger: Path) -> None:
    (stranger / "clone").mkdir()
    (home / "other").symlink_to(stranger)

    assert not removal.put_away(home, "other/clone")

    assert (stranger / "clone").is_dir()


def test_a_link_in_the_place_of_a_run_goes_alone(home: Path, stranger: Path) -> None:
    (home / "other").symlink_to(stranger)

    assert remove(home, "other")

    assert not (home / "other").is_symlink()
    assert (stranger / "precious").exists()


def test_closed_directories_pipes_and_odd_names_are_removed(home: Path) -> None:
    clone = home / "run/clone"
    (clone / "closed/inner").mkdir(parents=True)
    (clone / "closed/inner/file").write_text("x")
    os.mkfifo(clone / "pipe")
    (clone / os.fsdecode(b"\xff\n -rf")).write_text("x")
    for closed in (clone / "closed/inner", clone / "closed", clone, home / "run"):
        closed.chmod(0)

    assert remove(home, "run/clone")

    assert list((home / "run").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_user_who_is_not_root_removes_closed_directories_too(tmp_path: Path) -> None:
    """As root nothing is closed: so it is another user who tries."""
    code = (
        "import os, sys; from pathlib import Path; from egg_tasks import removal\n"
        "os.chdir(sys.argv[1]); os.setgid(65534); os.setuid(65534)\n"
        "home = Path(); inner = home / 'run/clone/a/b'; inner.mkdir(parents=True)\n"
        "(inner / 'file').write_text('x')\n"
        "[p.chmod(0) for p in (inner, inner.parent, home / 'run/clone', home / 'run')]\n"
        "assert removal.put_away(home, 'run/clone')\n"
        "assert removal.empty(home, seconds=30)\n"
    )
    tmp_path.chmod(0o777)
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(removal.__file__).parents[1]
    )


def test_no_depth_is_too_much(home: Path) -> None:
    directory = os.open(home / "run/clone", os.O_RDONLY)
    for _ in range(DEEP):
        os.mkdir("d", dir_fd=directory)
        inner = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = inner
    os.close(directory)

    assert remove(home, "run")


@pytest.fixture
def bound(home: Path, stranger: Path) -> Iterator[Path]:
    """A stranger's directory, mounted in a clone."""
    place = home / "run/clone/bound"
    place.mkdir()
    done = subprocess.run(["mount", "--bind", str(stranger), str(place)], capture_output=True, check=False)
    if done.returncode:
        assert "CI" not in os.environ, done.stderr
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in mounts:
            if mount.startswith(str(home)):
                subprocess.run(["umount", mount], check=True)


def test_what_is_mounted_in_a_clone_is_not_entered(home: Path, stranger: Path, bound: Path) -> None:
    assert (bound / "precious").exists()

    assert not remove(home, "run"), "the mount stays"

    assert (stranger / "precious").read_text() == "mine"


def test_a_removal_that_has_no_time_left_is_finished_by_the_next(home: Path) -> None:
    for number in range(50):
        (home / "run/clone" / str(number)).write_text("x")
    removal.put_away(home, "run")

    assert not removal.empty(home, seconds=-1)
    assert removal.is_going(home)
    assert removal.empty(home, seconds=60)


def test_a_size_is_what_the_disk_gives(home: Path, stranger: Path) -> None:
    clone = home / "run/clone"
    (clone / "file").write_bytes(bytes(1 << 20))
    os.link(clone / "file", clone / "again")
    (stranger / "large").write_bytes(bytes(4 << 20))
    (clone / "out").symlink_to(stranger)
    with (clone / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)

    assert 1 << 20 <= removal.size(home) < 2 << 20
    assert removal.size(home, but=frozenset({"run"})) < 1 << 20
    assert removal.size(home / "nothing") == 0
