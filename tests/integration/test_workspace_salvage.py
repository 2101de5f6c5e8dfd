"""No work is lost: salvage over real git."""

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from shutil import which

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egg_tasks.workspace.atomic_directory import locked
from egg_tasks.workspace.git import Git
from models.errors import Unavailable
from models.schemas.git import Clone
from tests.integration.workspace_scene import (
    BREAKAGES,
    PIPELINE,
    Scene,
    advance,
    commit,
    git,
    inner_repository,
    run_of,
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# Salvage


@pytest.mark.parametrize("harm", BREAKAGES)
def test_files_of_a_clone_that_cannot_be_read_are_salvaged(
    scene: Scene, harm: Callable[[Path], None]
) -> None:
    clone = scene.clone()
    commit(clone.path, {"a": "kept"})
    harm(clone.path)

    saved = scene.salvage(clone)
    assert saved
    assert scene.saved(clone.branch, "a") == b"kept"
    assert scene.salvage(clone) == saved


def test_salvage_commits_what_is_not_committed(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "new").write_text("new")
    (clone.path / "README").unlink()

    saved = scene.salvage(clone)

    assert saved == scene.tip(clone.branch)
    shown = git(scene.bare, "log", "-1", "--format=%P|%B", clone.branch).strip()
    assert shown == f"{scene.base}|WIP: auto-commit uncommitted work (coder) [{PIPELINE}]"
    assert git(scene.bare, "ls-tree", "--name-only", clone.branch).split() == [".gitignore", "new", "shop.py"]


def test_a_clone_is_not_cleared_away_while_it_is_saved_nor_saved_while_it_goes(scene: Scene) -> None:
    """Two may save one clone, the slower when the quicker has closed its run: files that go were deleted."""
    clone = scene.clone()
    run_id = run_of(clone)
    lock = scene.home / "shims" / str(run_id) / "clone.lock"
    lock.parent.mkdir(parents=True)
    saved: list[str | None] = []
    slower = threading.Thread(target=lambda: saved.append(scene.salvage(clone)))

    with locked(lock, is_shared=True):
        assert scene.salvage(clone) == clone.head, "two may save it at once"
        for clear in (scene.workspace.keep, scene.workspace.discard):
            with pytest.raises(Unavailable, match="is being saved just now"):
                clear(run_id)
    assert clone.path.is_dir()
    with locked(lock):
        slower.start()
        slower.join(0.5)
        assert slower.is_alive()
        clone.path.rename(clone.path.with_name("going"))
    slower.join()

    assert saved == [None]
    assert scene.tip(clone.branch) == clone.head
    scene.workspace.discard(run_id)
    assert not clone.path.with_name("going").exists()


def test_salvaging_again_makes_no_second_commit(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "new").write_text("new")
    saved = scene.salvage(clone)

    assert scene.salvage(clone) == saved
    assert scene.tip(clone.branch) == saved


def test_salvage_brings_commits_nobody_took(scene: Scene) -> None:
    clone = scene.clone()
    version = commit(clone.path, {"a": "a"})

    assert scene.salvage(clone) == version
    assert scene.salvage(clone) == version
    assert scene.tip(clone.branch) == version


def test_an_untouched_clone_is_safe_and_a_missing_one_is_nothing(scene: Scene) -> None:
    clone = scene.clone("coder")
    advance(scene, "coder", {"a": "a"})

    assert scene.salvage(clone) == clone.head
    gone = Clone(path=clone.path.parent / "gone", branch=clone.branch, head=clone.head)
    assert scene.salvage(gone) is None


def test_work_of_a_run_whose_branch_has_moved_away_is_kept_on_a_salvage_branch(scene: Scene) -> None:
    clone = scene.clone()
    newer = advance(scene, "coder", {"successor": "s"})
    (clone.path / "old").write_text("1")
    first = scene.salvage(clone)
    (clone.path / "old").write_text("2")
    second = scene.salvage(clone)

    kept = f"egg/{PIPELINE}/salvage/{run_of(clone)}"
    assert scene.tip(clone.branch) == newer
    assert (scene.tip(kept), scene.tip(f"{kept}.2")) == (first, second)
    assert scene.salvage(clone) == second


def test_salvage_saves_a_half_finished_merge(scene: Scene) -> None:
    clone = scene.clone()
    git(clone.path, "checkout", "-q", "-b", "side")
    commit(clone.path, {"shop.py": "side\n"})
    git(clone.path, "checkout", "-q", f"egg/{PIPELINE}/coder")
    commit(clone.path, {"shop.py": "main\n"})
    git(clone.path, "merge", "side", check=False)

    assert scene.salvage(clone)
    assert b"<<<<<<<" in scene.saved(clone.branch, "shop.py")


def test_salvage_saves_a_detached_head(scene: Scene) -> None:
    clone = scene.clone()
    git(clone.path, "checkout", "-q", "--detach")
    version = commit(clone.path, {"a": "a"})

    assert scene.salvage(clone) == version


def test_salvage_saves_files_of_a_repository_inside_the_clone(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    inner_repository(clone.path, tmp_path / "marker")
    # What only a filter could save is kept instead: that has a test of its own.
    (clone.path / "vendored/.gitattributes").unlink()

    saved = scene.salvage(clone)
    assert scene.saved(clone.branch, "vendored/inner.py") == b"changed\n"
    assert scene.salvage(clone) == saved == scene.tip(clone.branch)


def test_salvage_saves_what_was_staged_although_ignored(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "x.log").write_text("wanted")
    git(clone.path, "add", "-f", "x.log")

    assert scene.salvage(clone)
    assert scene.saved(clone.branch, "x.log") == b"wanted"


def test_salvage_saves_a_file_its_attributes_cannot_convert(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / ".gitattributes").write_text("*.txt working-tree-encoding=UTF-16\n")
    (clone.path / "bad.txt").write_bytes(b"\xff\xff\xff")
    (clone.path / "good").write_text("good")

    assert scene.salvage(clone)
    assert scene.saved(clone.branch, "bad.txt") == b"\xff\xff\xff"
    assert scene.saved(clone.branch, "good") == b"good"


def test_salvage_goes_on_past_a_huge_file_and_names_it(scene: Scene) -> None:
    clone = scene.clone()
    with (clone.path / "huge").open("wb") as file:
        file.truncate(3 * 1024**3)
    (clone.path / "small").write_text("small")

    saved = scene.salvage(clone)
    assert scene.saved(clone.branch, "small") == b"small"
    assert "huge" in git(scene.bare, "log", "-1", "--format=%b", clone.branch)
    assert scene.salvage(clone) == saved == scene.tip(clone.branch)


def test_salvage_has_more_time_for_much_work_than_an_agent_that_waits(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin/git"
    slow.parent.mkdir()
    slow.write_text(
        "#!/bin/sh\ncase $1 in update-index|pack-objects|index-pack) sleep 1;; esac\n"
        f'exec {which("git")} "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(
        Git.run, "__kwdefaults__", {**(Git.run.__kwdefaults__ or {}), "timeout": timedelta(seconds=0.9)}
    )
    clone = scene.clone()
    (clone.path / "much").write_text("much")

    assert scene.salvage(clone) == scene.tip(clone.branch)
    assert scene.saved(clone.branch, "much") == b"much"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_salvage_goes_on_past_an_unreadable_file(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "secret").write_text("x")
    (clone.path / "secret").chmod(0)
    (clone.path / "small").write_text("small")

    assert scene.salvage(clone)
    assert scene.saved(clone.branch, "small") == b"small"


def test_salvage_survives_pipes_links_and_a_file_that_became_a_directory(scene: Scene) -> None:
    clone = scene.clone()
    os.mkfifo(clone.path / "pipe")
    (clone.path / "loop").symlink_to("loop")
    (clone.path / "away").symlink_to("/etc")
    (clone.path / "README").unlink()
    (clone.path / "README").mkdir()
    (clone.path / "README/inner").write_text("inner")

    assert scene.salvage(clone)
    assert scene.saved(clone.branch, "README/inner") == b"inner"
    assert scene.saved(clone.branch, "away") == b"/etc"


NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=12
)
FILES = st.dictionaries(
    NAMES.filter(lambda name: not name.lower().startswith((".", "git~"))), st.binary(max_size=40), max_size=5
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files=FILES)
def test_every_byte_in_the_work_tree_is_on_the_branch_after_salvage(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    scene = Scene(tmp_path_factory.mktemp("salvage"))
    clone = scene.clone()
    for name, content in files.items():
        (clone.path / name).write_bytes(content)

    scene.salvage(clone)

    kept = {name: content for name, content in files.items() if not name.endswith(".log")}
    assert {name: scene.saved(clone.branch, name) for name in kept} == kept
