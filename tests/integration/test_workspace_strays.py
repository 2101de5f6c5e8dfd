"""Commits that a clone has elsewhere than in its head: READY is refused, and nothing is lost."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from egg_tasks.foreign_files import LARGEST_PACKED_REFS, MIB
from egg_tasks.workspace import strays
from egg_tasks.workspace.clones import Evidence, inspect
from egg_tasks.workspace.git import Git
from models.errors import Conflict
from models.schemas.git import Clone, Strays
from tests.integration.workspace_scene import PIPELINE, Scene, advance, booby_trap, commit, git, run_of


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def nested_worktree(clone: Path) -> str:
    git(clone, "worktree", "add", "-q", ".git/inner", "-b", "sub-agent")
    return commit(clone / ".git/inner", {"feature.py": "all the work\n"})


def bare_worktree(clone: Path) -> str:
    git(clone, "worktree", "add", "-q", "--detach", "../elsewhere")
    return commit(clone.parent / "elsewhere", {"feature.py": "all the work\n"})


def other_branch(clone: Path) -> str:
    own = git(clone, "rev-parse", "--abbrev-ref", "HEAD")
    git(clone, "checkout", "-q", "-b", "topic/feature")
    made = commit(clone, {"feature.py": "all the work\n"})
    git(clone, "checkout", "-q", own)
    return made


def packed_branch(clone: Path) -> str:
    made = other_branch(clone)
    git(clone, "pack-refs", "--all")
    return made


def own_branch_ahead(clone: Path) -> str:
    made = commit(clone, {"feature.py": "all the work\n"})
    git(clone, "checkout", "-q", "--detach", "HEAD~1")
    return made


def stash(clone: Path) -> str:
    (clone / "shop.py").write_text("all the work\n")
    git(clone, "stash")
    return git(clone, "rev-parse", "refs/stash")


PLACES: dict[Callable[[Path], str], str] = {
    nested_worktree: "branch sub-agent",
    bare_worktree: "worktree elsewhere",
    other_branch: "branch topic/feature",
    packed_branch: "branch topic/feature",
    own_branch_ahead: f"branch egg/{PIPELINE}/coder",
    stash: "stash",
}


@pytest.mark.parametrize("leave", PLACES, ids=lambda leave: leave.__name__)
def test_taking_refuses_a_head_that_leaves_commits_behind(scene: Scene, leave: Callable[[Path], str]) -> None:
    clone = scene.clone()
    left = leave(clone.path)

    with pytest.raises(Conflict, match="Merge them") as refusal:
        scene.take(clone)

    assert refusal.value.details == {"strays": {PLACES[leave]: left}}


@pytest.mark.parametrize("leave", PLACES, ids=lambda leave: leave.__name__)
def test_what_a_clone_leaves_behind_is_brought_to_a_branch_of_its_own(
    scene: Scene, leave: Callable[[Path], str]
) -> None:
    clone = scene.clone()
    left = leave(clone.path)

    told = save(scene, clone)
    again = save(scene, clone)

    assert told == again
    (said,) = told
    assert said.startswith(f"{PLACES[leave]} is kept on egg/{PIPELINE}/salvage/{run_of(clone)}-")
    assert scene.tip(said.split()[-1]) == left


def save(scene: Scene, clone: Clone) -> tuple[str, ...]:
    return scene.workspace.save_strays(PIPELINE, run_id=run_of(clone), clone=clone.path).saved


def test_a_branch_that_was_merged_is_no_stray(scene: Scene) -> None:
    clone = scene.clone()
    other_branch(clone.path)
    git(clone.path, "merge", "-q", "topic/feature")

    assert scene.take(clone) == git(clone.path, "rev-parse", "HEAD")
    assert save(scene, clone) == ()


def test_a_branch_that_somebody_else_has_is_no_stray(scene: Scene) -> None:
    theirs = advance(scene, "tester", {"test.py": "tested\n"})
    clone = scene.clone()
    git(clone.path, "branch", "theirs", theirs)
    git(clone.path, "branch", "earlier", "HEAD~0")
    commit(clone.path, {"more.py": "more\n"})

    scene.take(clone)


def test_an_earlier_version_that_was_taken_and_then_rewritten_is_no_stray(scene: Scene) -> None:
    clone = scene.clone()
    first = commit(clone.path, {"shop.py": "first\n"})
    scene.take(clone)
    git(clone.path, "commit", "-q", "--amend", "-m", "tidied")
    git(clone.path, "branch", "before", first)

    assert scene.take(clone) != first


def test_a_clone_with_its_own_branch_alone_is_asked_no_git(scene: Scene) -> None:
    clone = scene.clone()
    commit(clone.path, {"shop.py": "new\n"})
    evidence = strays_evidence(scene, clone)

    assert strays.strays(Git(Path("/nonexistent")), evidence) == ()


def strays_evidence(scene: Scene, clone: Clone) -> Evidence:
    return inspect(clone.path, repository=scene.bare)


def test_a_branch_whose_commit_is_nowhere_is_no_work(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / ".git/refs/heads/gone").write_text("f" * 40)

    scene.take(clone)


def test_pipes_and_folders_that_are_links_among_the_refs_refuse_and_lose_no_branch(scene: Scene) -> None:
    clone = scene.clone()
    heads = clone.path / ".git/refs/heads"
    left = other_branch(clone.path)
    os.mkfifo(heads / "pipe")
    (heads / "around").symlink_to(heads)
    (clone.path / ".git/worktrees").symlink_to("/etc")

    with pytest.raises(Conflict) as refusal:
        scene.take(clone)
    kept = save(scene, clone)

    names = [".git/refs/heads/around", ".git/refs/heads/pipe", ".git/worktrees"]
    assert refusal.value.details == {"clone": str(clone.path), "paths": names}
    assert left[:10] in " ".join(kept)


def test_links_and_odd_names_among_the_refs_do_not_lie(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    heads = clone.path / ".git/refs/heads"
    left = other_branch(clone.path)
    (heads / "topic/feature").rename(heads / "a\x1b[31mb")
    (tmp_path / "far").write_text(left)
    (heads / "link").symlink_to(tmp_path / "far")
    booby_trap(clone.path, tmp_path / "ran")
    (clone.path / ".gitattributes").unlink()

    with pytest.raises(Conflict) as refusal:
        scene.take(clone)

    assert refusal.value.details == {"strays": {"branch a\\x1b[31mb": left}}
    assert not (tmp_path / "ran").exists()


def test_a_clone_that_is_gone_or_broken_has_nothing_to_bring(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    other_branch(clone.path)
    (clone.path / ".git/HEAD").unlink()

    assert save(scene, clone) == ()
    assert scene.workspace.save_strays(PIPELINE, run_id=run_of(clone), clone=tmp_path / "none") == Strays()


def test_giants_among_the_refs_refuse_and_are_not_read(scene: Scene) -> None:
    clone = scene.clone()
    packed_branch(clone.path)
    with (clone.path / ".git/packed-refs").open("ab") as packed:
        packed.truncate(2 * LARGEST_PACKED_REFS)
    for number in range(20):
        with (clone.path / f".git/refs/heads/giant{number}").open("wb") as loose:
            loose.truncate(2 * LARGEST_PACKED_REFS)

    tracemalloc.start()
    with pytest.raises(Conflict) as refusal:
        scene.take(clone)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert ".git/packed-refs" in str(refusal.value)
    assert "`git branch -D`" in str(refusal.value)
    assert most < 32 * MIB
