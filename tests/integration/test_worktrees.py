"""Repositories of an agent outside its clone, also where it has closed the way to them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from egg_tasks import run_places, worktrees

RUN = str(uuid4())


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A role's clone with nothing around it."""
    clone = tmp_path / "runs" / RUN / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone.parent / "prompt.md").write_text("Do it.")
    yield clone
    shutil.rmtree(run_places.room(clone.parent), ignore_errors=True)


def point(clone: Path, name: str, to: Path | str) -> None:
    """Have the clone know a worktree, as git does."""
    (clone / ".git/worktrees" / name).mkdir(parents=True)
    (clone / ".git/worktrees" / name / "gitdir").write_text(f"{to}\n")


def test_an_agent_that_stays_in_its_clone_has_nothing_outside(clone: Path) -> None:
    room = run_places.room(clone.parent)
    (room / "tmp/pytest-0/repo/.git").mkdir(parents=True)
    point(clone, "inside", clone / "wt/.git")
    (clone / "wt").mkdir()
    point(clone, "gone", room / "tmp/gone/.git")

    assert worktrees.unsaved(clone) == []
    assert not worktrees.is_in(clone, room)


def test_worktrees_in_tmpdir_and_home_are_found_by_any_way_to_them(clone: Path, tmp_path: Path) -> None:
    room, role = run_places.room(clone.parent), tmp_path / "roles/shop/coder/home"
    for place in (room / "tmp/a", role / "b"):
        place.mkdir(parents=True)
    (tmp_path / "link").symlink_to(role)
    point(clone, "a", os.path.relpath(room / "tmp/a/.git", clone / ".git/worktrees/a"))
    point(clone, "b", tmp_path / "link/b/.git")

    found = [f"what is not committed in its worktree {place}" for place in (role / "b", room / "tmp/a")]
    assert sorted(worktrees.unsaved(clone)) == sorted(found)
    assert worktrees.is_in(clone, room)


@pytest.mark.parametrize("kind", ["a pipe", "a giant", "a directory", "a link", "nothing"])
def test_a_worktree_of_which_nobody_can_tell_where_it_is_counts(clone: Path, kind: str) -> None:
    point(clone, "odd\nname", "x")
    pointer = clone / ".git/worktrees/odd\nname/gitdir"
    pointer.unlink()
    if kind == "a pipe":
        os.mkfifo(pointer)
    elif kind == "a giant":
        pointer.touch()
        os.truncate(pointer, 1 << 40)
    elif kind == "a directory":
        pointer.mkdir()
    elif kind == "a link":
        pointer.symlink_to("/etc/passwd")

    assert worktrees.unsaved(clone) == ["what is not committed in its worktree odd\\nname"]
    assert worktrees.is_in(clone, run_places.room(clone.parent))


def test_without_its_clone_all_that_was_its_tmpdir_may_be_work(clone: Path) -> None:
    room = run_places.room(clone.parent)
    clone.rename(clone.with_name("moved"))

    assert worktrees.beside_it(clone) == ["moved"]
    assert not worktrees.is_in(clone, room)
    room.mkdir(parents=True)
    assert worktrees.is_in(clone, room)


def test_more_than_can_be_looked_through_counts(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktrees, "MOST_ENTRIES", 3)
    for number in range(5):
        (clone.parent / "many" / str(number)).mkdir(parents=True)

    assert worktrees.unsaved(clone) == ["what is not committed in many, beside its clone"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_a_user_who_is_not_root_cannot_look_into_counts() -> None:
    """As root nothing is closed: so it is another user who looks."""
    code = (
        "import os, sys; from pathlib import Path; from egg_tasks import run_places, worktrees\n"
        "os.setgid(65534); os.setuid(65534)\n"
        f"clone = Path(sys.argv[1]) / 'runs/{RUN}/clone'; room = run_places.room(clone.parent)\n"
        "[p.mkdir(parents=True) for p in (clone.parent / 'shut/in', room / 'tmp/shut/wt')]\n"
        "pointers = clone / '.git/worktrees/wt'; pointers.mkdir(parents=True)\n"
        "(pointers / 'gitdir').write_text(f'{room}/tmp/shut/wt/.git')\n"
        "[p.chmod(0) for p in (clone.parent / 'shut', room / 'tmp/shut')]\n"
        "print(*worktrees.unsaved(clone), worktrees.is_in(clone, room), sep='|')\n"
        "(clone / '.git/worktrees').chmod(0)\n"
        "print(*worktrees.unsaved(clone), worktrees.is_in(clone, room), sep='|')\n"
    )
    with TemporaryDirectory(dir="/tmp") as home:
        Path(home).chmod(0o777)
        argv, here = [sys.executable, "-c", code, home], Path(worktrees.__file__).parents[1]
        seen = subprocess.run(argv, check=True, cwd=here, capture_output=True, text=True).stdout

    shut = "what is not committed in shut, beside its clone"
    room = run_places.room(Path(home) / "runs" / RUN)
    assert seen.splitlines() == [
        f"{shut}|what is not committed in its worktree {room}/tmp/shut/wt|True",
        f"{shut}|what is not committed in its worktree .git/worktrees|True",
    ]
