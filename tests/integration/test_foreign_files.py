"""Whatever an agent leaves where a file should be is read as nothing, at once and for next to no memory."""

import os
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from egg_tasks.foreign_files import (
    KIB,
    MIB,
    is_holding,
    is_plain,
    make_directory,
    open_plain,
    read_plain,
    write_plain,
    written_at,
)
from models.errors import Conflict
from tests.integration.workspace_scene import Scene

GIB = 1 << 30


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.with_name("secret").write_text("s3cret")
    path.symlink_to(path.with_name("secret"))


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1536 * MIB)


def nothing(_path: Path) -> None:
    """Leave no file."""


KINDS = [pipe, link, link_to_nothing, link_to_a_device, Path.mkdir, giant, nothing]


def within(seconds: float, act: Callable[[], object]) -> object:
    """What an act gives; fails if it hangs."""
    given: list[object] = []
    acting = threading.Thread(target=lambda: given.append(act()), daemon=True)
    acting.start()
    acting.join(seconds)
    assert given, "it hangs, or has raised"
    return given[0]


@pytest.mark.parametrize("leave", KINDS)
def test_what_is_no_plain_file_is_read_as_nothing_and_takes_no_memory(
    tmp_path: Path, leave: Callable[[Path], object]
) -> None:
    leave(tmp_path / "file")

    tracemalloc.start()
    read = within(20, lambda: [read_plain(tmp_path, "file", limit=KIB)])
    held = within(20, lambda: [is_holding(tmp_path, "file", [b"x"], limit=KIB)])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (read, held) == ([None], [None])
    assert most < MIB


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "\0", "within/file", "a" * 5000])
def test_no_name_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("s3cret")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/within").symlink_to(tmp_path / "elsewhere")

    root = tmp_path / "root"
    assert (open_plain(root, name), is_plain(root, name), written_at(root, name)) == (None, False, None)


def test_a_file_that_grows_while_it_is_read_is_no_larger_than_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * KIB)
    assert read_plain(tmp_path, "file", limit=KIB) == b"x" * KIB
    assert read_plain(tmp_path, "file", limit=KIB - 1) is None

    file = open_plain(tmp_path, "file", limit=KIB)
    assert file is not None
    with file:
        os.truncate(tmp_path / "file", GIB)
        assert len(file.read(KIB + 1)) == KIB + 1


def test_a_mark_is_found_across_the_pieces_it_is_read_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"-" * (MIB - 3) + b"sdir" + b"-" * MIB)

    assert is_holding(tmp_path, "file", [b"link", b"sdir"], limit=4 * MIB) is True
    assert is_holding(tmp_path, "file", [b"link"], limit=4 * MIB) is False


@pytest.mark.parametrize("leave", [pipe, link, link_to_nothing, giant, nothing])
def test_what_is_written_takes_the_place_of_whatever_was_there_and_goes_nowhere_else(
    tmp_path: Path, leave: Callable[[Path], object]
) -> None:
    leave(tmp_path / "file")

    def write() -> bool:
        write_plain(tmp_path, "file", "ours")
        return True

    assert within(20, write)
    assert (tmp_path / "file").read_text() == "ours"
    assert not (tmp_path / "file").is_symlink()
    others = {path.name: path.read_text() for path in tmp_path.iterdir()} | {"file": "ours"}
    assert others in ({"file": "ours"}, {"file": "ours", "secret": "s3cret"})


def test_a_directory_in_the_place_of_a_file_is_moved_aside_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file/work").write_text("the agent's")

    write_plain(tmp_path, "file", "ours")

    assert (tmp_path / "file").read_text() == "ours"
    assert [path.read_text() for path in tmp_path.glob(".file.*.aside/work")] == ["the agent's"]


def test_nothing_is_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path)

    with pytest.raises(OSError, match="linked"):
        write_plain(tmp_path / "linked", "other", "ours")

    assert [path.name for path in tmp_path.iterdir()] == ["linked"]


@pytest.mark.parametrize("leave", [pipe, link, link_to_nothing, nothing])
def test_a_directory_is_one_of_our_own(tmp_path: Path, leave: Callable[[Path], object]) -> None:
    leave(tmp_path / "home")

    make_directory(tmp_path / "home")

    assert (tmp_path / "home").is_dir()
    assert not (tmp_path / "home").is_symlink()


def test_several_make_a_directory_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=20)

    def make(_: int) -> None:
        for number in range(200):
            together.wait()
            make_directory(tmp_path / str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))

    assert len(list(tmp_path.iterdir())) == 200


def test_a_time_that_no_calendar_has_is_none() -> None:
    # In memory, since disks keep no such time.
    with TemporaryDirectory(dir="/dev/shm") as name:  # made for it alone
        path = Path(name, "file")
        path.write_text("x")
        os.utime(path, (1 << 40, 1 << 40))

        assert written_at(Path(name), "file") is None


@pytest.mark.parametrize(
    "name", ["HEAD", "index", "packed-refs", "objects/info/alternates", "info/exclude", "config", "logs/HEAD"]
)
@pytest.mark.parametrize("size", [512 * MIB, 100 * MIB])
def test_a_giant_in_a_clone_costs_a_verdict_no_memory(scene: Scene, name: str, size: int) -> None:
    clone = scene.clone()
    path = clone.path / ".git" / name
    path.touch()
    os.truncate(path, size)

    tracemalloc.start()
    for _ in range(3):
        try:
            scene.take(clone)
        except Conflict:
            continue
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most < 40 * MIB
