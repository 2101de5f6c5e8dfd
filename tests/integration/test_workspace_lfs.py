"""Large files (Git LFS), over real git and the real git-lfs."""

import os
import shutil
from pathlib import Path

import pytest

from egg_tasks.workspace.git import Git
from egg_tasks.workspace.lfs import Pointer, copy_lfs
from tests.integration.workspace_scene import Scene, git

pytestmark = pytest.mark.skipif(
    shutil.which("git-lfs") is None and "CI" not in os.environ,
    reason="git-lfs is not installed (Debian: apt-get install git-lfs)",
)
BIG = os.urandom(5_000_000)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def track(repository: Path, name: str, content: bytes = BIG) -> str:
    """Commit a large file as `git-lfs` has it; the commit."""
    git(repository, "lfs", "install", "--local")
    git(repository, "lfs", "track", "*.bin")
    (repository / name).write_bytes(content)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", f"add {name}")
    return git(repository, "rev-parse", "HEAD")


def pointer_in(repository: Path, name: str) -> Pointer:
    """The pointer that a repository's head has for a file."""
    pointer = Pointer.parse(git(repository, "cat-file", "blob", f"HEAD:{name}").encode() + b"\n")
    assert pointer is not None
    return pointer


def test_contents_of_a_commit_are_copied_and_what_is_not_what_it_is_called_is_not(
    scene: Scene, tmp_path: Path
) -> None:
    commit = track(scene.source, "a.bin")
    track(scene.source, "b.bin", b"other" * 99)
    pointer = pointer_in(scene.source, "a.bin")
    inside = Git(scene.source / ".git")

    copy_lfs(inside, [commit], into=tmp_path / "first")
    (scene.source / ".git" / pointer.place).write_bytes(b"x" * len(BIG))
    copy_lfs(inside, [git(scene.source, "rev-parse", "HEAD")], into=tmp_path / "second")

    assert (tmp_path / "first" / pointer.place).read_bytes() == BIG
    assert sorted(path.stat().st_size for path in (tmp_path / "second/lfs/objects").rglob("?" * 64)) == [495]
    assert not list(tmp_path.glob("*/lfs/tmp/*"))
