"""Taking versions from clones, and clones that mean harm, over real git."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from models.errors import Conflict
from tests.integration.workspace_scene import (
    BREAKAGES,
    PIPELINE,
    Scene,
    booby_trap,
    commit,
    git,
    inner_repository,
    run_of,
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# Versions


def test_taking_keeps_the_head_and_its_tree(scene: Scene) -> None:
    clone = scene.clone()
    version = commit(clone.path, {"a": "a"})

    taken = scene.workspace.take(PIPELINE, run_id=run_of(clone), clone=clone.path)

    assert taken.commit == version
    assert taken.tree == git(clone.path, "rev-parse", "HEAD^{tree}")
    assert git(scene.bare, "rev-parse", f"refs/egg/taken/{run_of(clone)}/{version}") == version


def test_taking_twice_gives_the_same(scene: Scene) -> None:
    clone = scene.clone()
    commit(clone.path, {"a": "a"})

    assert scene.take(clone) == scene.take(clone)


def test_taken_history_survives_the_clone(scene: Scene) -> None:
    clone = scene.clone()
    commit(clone.path, {"big": "x\n" * 5000})
    git(clone.path, "repack", "-adq")
    version = commit(clone.path, {"big": "x\n" * 5000 + "y"})
    scene.take(clone)
    (clone.path / ".git").rename(clone.path / "gone")

    git(scene.bare, "fsck", "--connectivity-only", "--no-dangling", version)


@pytest.mark.parametrize("work", ["modified", "deleted", "untracked", "staged", "forced", "unicode", "mode"])
def test_taking_refuses_uncommitted_work_by_name(scene: Scene, work: str) -> None:
    clone = scene.clone()
    path = {"untracked": "new", "staged": "new", "forced": "x.log", "unicode": "ñ\nb"}.get(work, "shop.py")
    if work == "deleted":
        (clone.path / path).unlink()
    elif work == "mode":
        (clone.path / path).chmod(0o755)
    else:
        (clone.path / path).write_text("dirty")
    if work in {"staged", "forced"}:
        git(clone.path, "add", "-f", path)

    with pytest.raises(Conflict) as refusal:
        scene.take(clone)
    shown = path.replace("\n", "\\n")
    assert refusal.value.details["paths"] == [shown]
    assert shown in str(refusal.value)


def test_taking_names_twenty_paths_and_lists_all(scene: Scene) -> None:
    clone = scene.clone()
    for number in range(30):
        (clone.path / f"new-{number:02}").write_text("x")

    with pytest.raises(Conflict, match=r"new-19 and 10 more") as refusal:
        scene.take(clone)
    assert len(refusal.value.details["paths"]) == 30  # type: ignore[arg-type]  # an object by its declaration


def test_ignored_files_are_no_uncommitted_work(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "x.log").write_text("noise")
    (clone.path / ".git/info").mkdir(exist_ok=True)
    (clone.path / ".git/info/exclude").write_text("private\n")
    (clone.path / "private").write_text("mine")

    assert scene.take(clone) == scene.base


def test_taking_in_the_middle_of_a_merge_is_refused(scene: Scene) -> None:
    clone = scene.clone()
    git(clone.path, "checkout", "-q", "-b", "side")
    commit(clone.path, {"side": "s"})
    git(clone.path, "checkout", "-q", f"egg/{PIPELINE}/coder")
    git(clone.path, "merge", "-q", "--no-ff", "--no-commit", "side")

    with pytest.raises(Conflict, match="middle of a merge"):
        scene.take(clone)


@pytest.mark.parametrize("harm", BREAKAGES)
def test_a_clone_that_cannot_be_read_is_a_conflict_with_a_way_out(
    scene: Scene, harm: Callable[[Path], None]
) -> None:
    clone = scene.clone()
    commit(clone.path, {"a": "a"})
    harm(clone.path)

    with pytest.raises(Conflict, match="signal READY again"):
        scene.take(clone)


# Harm


def test_a_fresh_clone_in_the_place_of_a_broken_one_is_taken(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    (clone.path / ".git").rename(tmp_path / "broken")
    git(tmp_path, "clone", "-q", str(scene.bare), "fresh")
    (tmp_path / "fresh/.git").rename(clone.path / ".git")
    version = commit(clone.path, {"a": "a"})

    assert scene.take(clone) == version


def test_nothing_an_agent_wrote_is_run(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    marker = tmp_path / "marker"
    commit(clone.path, {"a": "a", ".gitattributes": "* filter=x diff=x merge=x\n"})
    inner_repository(clone.path, marker)
    git(clone.path, "add", "vendored")
    git(clone.path, "commit", "-q", "-m", "a repository as a submodule")
    (clone.path / "vendored/inner.py").write_text("changed again\n")
    (clone.path / "shop.py").write_text("changed\n")
    marker.unlink(missing_ok=True)
    booby_trap(clone.path, marker)

    with pytest.raises(Conflict):
        scene.take(clone)
    head = scene.workspace.head(PIPELINE, clone=clone.path)
    saved = scene.salvage(clone)
    assert saved
    scene.workspace.merge(PIPELINE, work=scene.base, version=saved, message="Merge")
    scene.workspace.open_checkout(PIPELINE, run_id=uuid4(), commit=saved)
    scene.clone(work=head)
    assert not marker.exists()

    git(clone.path, "status")
    assert marker.exists(), "the trap must be one"
