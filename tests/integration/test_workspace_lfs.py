"""Large files (Git LFS), over real git and the real git-lfs."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from cli import work_branch
from egg_tasks.workspace import GitWorkspace
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.lfs import LARGEST_OBJECT, Pointer, copy_lfs
from models.errors import Conflict
from tests.integration.workspace_scene import PIPELINE, Scene, commit, git, run_of

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


# Versions


def test_a_version_brings_its_large_files_along(scene: Scene) -> None:
    clone = scene.clone()
    version = track(clone.path, "model.bin")
    assert scene.take(clone) == version
    pointer = pointer_in(clone.path, "model.bin")
    shutil.rmtree(clone.path)

    tester = scene.clone("tester", work=version)
    checkout = scene.workspace.open_checkout(PIPELINE, run_id=uuid4(), commit=version)

    assert pointer.is_in(scene.bare)
    assert (tester.path / "model.bin").read_bytes() == BIG
    assert (checkout / "model.bin").read_bytes() == BIG
    assert git(tester.path, "status", "--porcelain") == ""
    git(tester.path, "lfs", "fsck")


def test_a_content_that_is_nowhere_refuses_ready_by_path(scene: Scene) -> None:
    clone = scene.clone()
    version = track(clone.path, "model.bin")
    shutil.rmtree(clone.path / ".git/lfs")
    (clone.path / "model.bin").write_bytes(pointer_in(clone.path, "model.bin").content)
    git(clone.path, "add", "model.bin")
    assert git(clone.path, "status", "--porcelain") == ""

    with pytest.raises(Conflict, match=r"model.bin is nowhere.*git lfs fetch") as refusal:
        scene.take(clone)
    (clone.path / "model.bin").write_bytes(BIG)
    git(clone.path, "add", "model.bin")

    assert refusal.value.details["paths"] == ["model.bin"]
    assert scene.take(clone) == version


def test_a_content_that_is_not_what_its_name_says_is_not_taken(scene: Scene) -> None:
    clone = scene.clone()
    track(clone.path, "model.bin")
    pointer = pointer_in(clone.path, "model.bin")
    for harm in (clone.path / ".git" / pointer.place, clone.path / "model.bin"):
        harm.chmod(0o644)
        harm.write_bytes(b"x" * len(BIG))
    git(clone.path, "update-index", "--assume-unchanged", "model.bin")

    with pytest.raises(Conflict, match="nowhere"):
        scene.take(clone)
    assert not pointer.is_in(scene.bare)


def test_a_link_in_the_place_of_a_content_is_not_followed(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    track(clone.path, "model.bin")
    pointer = pointer_in(clone.path, "model.bin")
    (tmp_path / "elsewhere").write_bytes(BIG)
    place = clone.path / ".git" / pointer.place
    place.unlink()
    place.symlink_to(tmp_path / "elsewhere")
    (clone.path / "model.bin").unlink()
    (clone.path / "model.bin").symlink_to(tmp_path / "elsewhere")
    git(clone.path, "update-index", "--assume-unchanged", "model.bin")

    with pytest.raises(Conflict, match="nowhere"):
        scene.take(clone)


def test_a_text_that_looks_like_a_pointer_is_only_a_text(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "how-lfs-works.txt").write_bytes(Pointer("0" * 64, 5).content)
    git(clone.path, "add", "-A")
    git(clone.path, "commit", "-qm", "explain")

    saved = scene.save(clone)

    assert saved
    assert saved.kept == ()
    assert scene.take(clone) == git(clone.path, "rev-parse", "HEAD")


def test_unchanged_large_files_of_the_base_need_not_be_there(scene: Scene) -> None:
    base = track(scene.source, "old.bin")
    shutil.rmtree(scene.source / ".git/lfs")
    scene.workspace.prepare("bare", source=str(scene.source), base="main")
    clone = scene.workspace.open_clone("bare", role="coder", run_id=uuid4(), work_commit=base)
    version = commit(clone.path, {"note": "n"})

    assert scene.workspace.take("bare", run_id=uuid4(), clone=clone.path).commit == version
    assert git(clone.path, "status", "--porcelain") == ""
    git(clone.path, "checkout", "-q", "-B", "again", base)


# Clones


@pytest.mark.parametrize("kind", ["repository", "worktree", "mirror"])
def test_large_files_of_the_users_repository_are_in_the_clones(
    scene: Scene, tmp_path: Path, kind: str
) -> None:
    base = track(scene.source, "old.bin")
    source = scene.source
    if kind == "worktree":
        source = tmp_path / "worktree"
        git(scene.source, "worktree", "add", "-q", str(source), "-b", "other")
    elif kind == "mirror":
        source = tmp_path / "mirror.git"
        git(tmp_path, "clone", "-q", "--bare", str(scene.source), str(source))
        shutil.copytree(scene.source / ".git/lfs", source / "lfs")
    scene.workspace.prepare("large", source=str(source), base=base)

    clone = scene.workspace.open_clone("large", role="coder", run_id=uuid4(), work_commit=base)

    assert (clone.path / "old.bin").read_bytes() == BIG
    assert git(clone.path, "status", "--porcelain") == ""
    assert (clone.path / "old.bin").stat().st_nlink == 1


def test_an_agents_git_makes_pointers_and_gets_the_others_contents(scene: Scene) -> None:
    clone = scene.clone()
    version = track(clone.path, "model.bin")
    scene.take(clone)
    tester = scene.clone("tester")
    branch = f"egg/{PIPELINE}/coder"
    scene.workspace.move_branch(PIPELINE, branch=branch, commit=version, expected=None)
    git(tester.path, "fetch", "-q", "origin")
    git(tester.path, "merge", "-q", f"origin/{branch}")
    assert (tester.path / "model.bin").read_bytes() == BIG
    (tester.path / "model.bin").write_bytes(b"changed" * 999)
    git(tester.path, "commit", "-qam", "change")

    assert pointer_in(tester.path, "model.bin").size == 6993
    assert scene.take(tester)
    assert pointer_in(tester.path, "model.bin").is_in(scene.bare)


def test_without_git_lfs_a_clone_has_the_contents_and_is_clean(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = scene.clone()
    version = track(clone.path, "model.bin")
    scene.take(clone)
    only_git = clone.path.parent / "bin"
    only_git.mkdir()
    (only_git / "git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(only_git))

    tester = scene.clone("tester", work=version)

    assert (tester.path / "model.bin").read_bytes() == BIG
    assert git(tester.path, "status", "--porcelain") == ""
    assert scene.take(tester) == version


# Salvage


def test_salvage_keeps_a_changed_large_file_as_pointer_and_content(scene: Scene) -> None:
    clone = scene.clone()
    track(clone.path, "model.bin")
    other = os.urandom(3_000_000)
    (clone.path / "model.bin").write_bytes(other)
    (clone.path / "new.bin").write_bytes(BIG[:2_000_000])
    (clone.path / "new.bin").chmod(0o755)

    saved = scene.save(clone)

    assert saved
    assert saved.kept == ()
    successor = scene.clone()
    assert (successor.path / "model.bin").read_bytes() == other
    assert (successor.path / "new.bin").read_bytes() == BIG[:2_000_000]
    assert git(successor.path, "status", "--porcelain") == ""
    assert git(successor.path, "ls-files", "-s", "new.bin").startswith("100755")


def test_salvage_leaves_a_large_file_alone_that_was_only_touched(scene: Scene) -> None:
    clone = scene.clone()
    version = track(clone.path, "model.bin")
    (clone.path / "model.bin").write_bytes(BIG)

    assert scene.take(clone) == version
    assert scene.salvage(clone) == version


def test_salvage_names_contents_of_commits_that_are_nowhere(scene: Scene) -> None:
    clone = scene.clone()
    version = track(clone.path, "model.bin")
    shutil.rmtree(clone.path / ".git/lfs")
    (clone.path / "model.bin").write_bytes(pointer_in(clone.path, "model.bin").content)

    saved = scene.save(clone)

    assert saved
    assert (saved.commit, saved.kept) == (version, ("model.bin",))


# The user's repository


def test_the_users_merge_gets_the_contents_of_all_that_is_new(scene: Scene) -> None:
    work = f"egg/{PIPELINE}/work"
    git(scene.source, "lfs", "install", "--local")
    clone = scene.clone()
    first = track(clone.path, "model.bin")
    (clone.path / "model.bin").write_bytes(b"newer" * 999)
    version = commit(clone.path, {"note": "n"})
    scene.take(clone)
    scene.workspace.move_branch(PIPELINE, branch=work, commit=version, expected=scene.base)
    shutil.rmtree(clone.path)

    said = work_branch.bring(
        {
            "id": PIPELINE,
            "status": "complete",
            "repo": str(scene.source),
            "base": "main",
            "work_branch": work,
            "work_commit": version,
            "repository": str(scene.bare),
        }
    )
    git(scene.source, "merge", "-q", f"egg/{PIPELINE}")

    assert "in your repository, on branch" in said
    assert (scene.source / "model.bin").read_bytes() == b"newer" * 999
    git(scene.source, "checkout", "-q", first)
    assert (scene.source / "model.bin").read_bytes() == BIG
    assert git(scene.source, "status", "--porcelain") == ""


def test_commits_left_on_another_branch_bring_their_large_files_along(scene: Scene) -> None:
    clone = scene.clone()
    git(clone.path, "checkout", "-q", "-b", "side")
    track(clone.path, "model.bin")
    pointer = pointer_in(clone.path, "model.bin")
    git(clone.path, "checkout", "-q", f"egg/{PIPELINE}/coder")

    assert scene.workspace.save_strays(PIPELINE, run_id=uuid4(), clone=clone.path).saved
    assert pointer.is_in(scene.bare)


def test_a_repository_of_longer_ids_has_its_contents_and_is_salvaged(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q", "-b", "main", "--object-format=sha256")
    base = track(source, "old.bin")
    workspace, run_id = GitWorkspace(tmp_path / "home"), uuid4()
    workspace.prepare("long", source=str(source), base="main")
    clone = workspace.open_clone("long", role="coder", run_id=run_id, work_commit=base)
    assert (clone.path / "old.bin").read_bytes() == BIG
    assert git(clone.path, "status", "--porcelain") == ""
    (clone.path / "new.bin").write_bytes(b"new" * 999)

    saved = workspace.salvage("long", role="coder", run_id=run_id, clone=clone.path, branch=clone.branch)

    assert saved
    successor = workspace.open_clone("long", role="coder", run_id=uuid4(), work_commit=base)
    assert (successor.path / "new.bin").read_bytes() == b"new" * 999
    assert git(successor.path, "status", "--porcelain") == ""


def test_a_file_that_is_too_large_for_anybody_is_not_even_read(scene: Scene) -> None:
    track(scene.source, "old.bin")
    base = scene.workspace.prepare("large", source=str(scene.source), base="main")
    clone = scene.workspace.open_clone("large", role="coder", run_id=uuid4(), work_commit=base)
    with (clone.path / "giant.bin").open("wb") as file:
        file.truncate(LARGEST_OBJECT + 1)

    saved = scene.workspace.salvage(
        "large", role="coder", run_id=run_of(clone), clone=clone.path, branch=clone.branch
    )

    assert saved
    assert saved.kept == ("giant.bin",)


def test_a_large_file_taken_up_again_from_the_history_is_where_the_person_has_it(scene: Scene) -> None:
    track(scene.source, "old.bin")
    track(scene.source, "old.bin", b"older" * 99)
    base = track(scene.source, "old.bin", b"newest" * 99)
    scene.workspace.prepare("large", source=str(scene.source), base=base)
    clone = scene.workspace.open_clone("large", role="coder", run_id=uuid4(), work_commit=base)
    # Without git-lfs: the pointer is what the agent gets.
    tree = git(clone.path, "rev-parse", f"{base}~2^{{tree}}")
    version = git(clone.path, "commit-tree", tree, "-p", base, "-m", "take it up again")
    git(clone.path, "-c", "filter.lfs.required=false", "reset", "-q", "--hard", version)

    taken = scene.workspace.take("large", run_id=run_of(clone), clone=clone.path)

    assert taken.commit == version
