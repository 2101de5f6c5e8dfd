"""A pipeline's repository and clones, over real git."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks.foreign_files import MIB
from egg_tasks.workspace import GitWorkspace, packed_refs
from models.errors import Conflict, Malformed, NotFound, Unprocessable
from models.schemas.git import Conflicted, Merged
from tests.integration.workspace_scene import (
    PIPELINE,
    Scene,
    advance,
    commit,
    git,
    together,
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# Preparing


def test_preparing_makes_the_work_branch_at_the_base(scene: Scene) -> None:
    assert scene.tip(f"egg/{PIPELINE}/work") == scene.base


@pytest.mark.parametrize("other_refs", [0, 30_000])
def test_a_branch_is_found_wherever_git_keeps_it(scene: Scene, other_refs: int) -> None:
    """In a file of its own, packed among few or many others, or by way of another."""
    repository = scene.workspace.repository(PIPELINE)
    git(repository, "update-ref", "refs/heads/egg/packed", scene.base)
    if other_refs:
        lines = "".join(f"create refs/tags/{number} {scene.base}\n" for number in range(other_refs))
        subprocess.run(["git", "update-ref", "--stdin"], cwd=repository, input=lines, text=True, check=True)
    git(repository, "pack-refs", "--all")
    git(repository, "update-ref", "refs/heads/egg/own", scene.base)
    git(repository, "symbolic-ref", "refs/heads/egg/by-way-of", "refs/heads/egg/packed")

    names = ("packed", "own", "by-way-of", "pack", "own/below", "nowhere")
    found = {name: scene.workspace.find_branch(PIPELINE, branch=f"egg/{name}") for name in names}

    assert found == {
        **dict.fromkeys(("packed", "own", "by-way-of"), scene.base),
        **dict.fromkeys(("pack", "own/below", "nowhere")),
    }


def test_preparing_again_leaves_the_work_branch_where_it_is(scene: Scene) -> None:
    work = f"egg/{PIPELINE}/work"
    clone = scene.clone()
    version = commit(clone.path, {"a": "a"})
    scene.take(clone)
    scene.workspace.move_branch(PIPELINE, branch=work, commit=version, expected=scene.base)

    again = scene.workspace.prepare(PIPELINE, source=str(scene.source), base="main")

    assert (again, scene.tip(work)) == (scene.base, version)


def test_preparing_removes_what_a_killed_try_left(tmp_path: Path) -> None:
    leftover = tmp_path / "home/repos/other.git.partial"
    leftover.mkdir(parents=True)
    (leftover / "HEAD").write_text("half")
    source = Scene(tmp_path / "x").source

    GitWorkspace(tmp_path / "home").prepare("other", source=str(source), base="main")

    assert not leftover.exists()


def test_preparing_never_writes_the_users_repository(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in scene.source.rglob("*")}

    scene.workspace.prepare("second", source=str(scene.source), base="HEAD")

    assert {path: path.stat().st_mtime_ns for path in scene.source.rglob("*")} == before


def test_preparing_leaves_branches_of_an_earlier_pipeline_behind(scene: Scene) -> None:
    git(scene.source, "branch", "egg/next/work")
    newer = commit(scene.source, {"new": "new"})

    scene.workspace.prepare("next", source=str(scene.source), base="main")

    bare = scene.workspace.repository("next")
    assert git(bare, "rev-parse", "refs/heads/egg/next/work") == newer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_very_many_tags_is_copied_cloned_and_worked_in(tmp_path: Path) -> None:
    """Their names take more than 16 MiB, and none of them a file of its own."""
    scene = Scene(tmp_path)
    many = {f"refs/tags/{'a-long-name/' * 16}{number:07}": scene.base for number in range(90_000)}
    packed_refs.write(scene.source / ".git", {"refs/heads/main": scene.base, **many})
    workspace = GitWorkspace(tmp_path / "many")

    work = workspace.prepare("many", source=str(scene.source), base="main")
    repository = workspace.repository("many")
    clone = workspace.open_clone("many", role="coder", run_id=uuid4(), work_commit=work)
    version = commit(clone.path, {"a": "a"})
    git(clone.path, "pack-refs", "--all")
    taken = workspace.take("many", run_id=uuid4(), clone=clone.path)

    assert (work, taken.commit) == (scene.base, version)
    assert len(git(repository, "for-each-ref", "refs/tags").splitlines()) == len(many)
    assert [path for path in (repository / "refs/tags").rglob("*") if path.is_file()] == []
    assert (clone.path / ".git/packed-refs").stat().st_size > 16 * MIB


@pytest.mark.parametrize(
    "name",
    ["refs/heads/../../config", "refs/heads/a b", "refs/heads/a\nb", "refs/tags/x.lock",
     "refs/heads/egg/x/work", "refs/pull/1/head", "refs/heads/a//b", "refs/heads/.a", "refs/heads/a@{0}",
     "refs/heads/a/"],
)  # fmt: skip
def test_a_name_that_no_branch_or_tag_has_is_not_copied(name: str) -> None:
    good = {"refs/heads/main": "1" * 40, "refs/tags/v1.0": "2" * 40}

    assert packed_refs.copied({name: "3" * 40, **good}) == good


def test_preparing_reads_a_repository_of_another_account(scene: Scene) -> None:
    for path in [scene.source, *scene.source.rglob("*")]:
        os.chown(path, 65534, 65534)

    assert scene.workspace.prepare("theirs", source=str(scene.source), base="main") == scene.base


def test_a_base_is_a_branch_a_tag_or_a_commit(scene: Scene) -> None:
    git(scene.source, "tag", "-a", "v1", "-m", "one")
    git(scene.source, "checkout", "-q", "--detach")
    lonely = commit(scene.source, {"lonely": "x"})

    bases = {
        "main": scene.base,
        "v1": scene.base,
        scene.base[:10]: scene.base,
        "HEAD": lonely,
        lonely: lonely,
    }
    for number, (base, expected) in enumerate(bases.items()):
        assert scene.workspace.prepare(f"p{number}", source=str(scene.source), base=base) == expected


@pytest.mark.parametrize(
    ("source", "base"),
    [("/nowhere", "main"), ("{source}", "nope"), ("{source}", "f" * 40), ("{home}", "main"),
     ("ext::sh -c 'touch /tmp/x'", "main"), ("--upload-pack=touch x", "main"), ("{source}", "--all")],
)  # fmt: skip
def test_a_source_or_base_that_is_not_there_is_refused(scene: Scene, source: str, base: str) -> None:
    given_source = source.format(source=scene.source, home=scene.home)

    with pytest.raises(Unprocessable):
        scene.workspace.prepare("fresh", source=given_source, base=base)
    assert not scene.workspace.repository("fresh").exists()


@pytest.mark.parametrize("pipeline_id", ["../x", "a/b", "-a", "", "a..b", "a.lock", "x" * 65, "a\n"])
def test_a_pipeline_id_that_is_no_name_is_malformed(scene: Scene, pipeline_id: str) -> None:
    with pytest.raises(Malformed):
        scene.workspace.repository(pipeline_id)


def test_a_pipeline_that_was_not_prepared_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        scene.workspace.tree("never", commit=scene.base)


def test_of_many_that_prepare_at_once_one_does_and_the_others_are_told_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    bases: list[str] = []
    told: list[str] = []

    def prepare() -> None:
        try:
            bases.append(GitWorkspace(scene.home).prepare("busy", source=str(scene.source), base="main"))
        except Conflict as error:
            told.append(error.message)

    together([prepare] * 6)

    assert set(bases) == {scene.base}
    assert len(bases) + len(told) == 6
    assert GitWorkspace(scene.home).prepare("busy", source=str(scene.source), base="main") == scene.base


# Clones


def test_a_clone_is_on_the_roles_branch_at_the_work_commit(scene: Scene) -> None:
    clone = scene.clone()

    assert git(clone.path, "symbolic-ref", "--short", "HEAD") == f"egg/{PIPELINE}/coder"
    assert git(clone.path, "rev-parse", "HEAD") == clone.head == scene.base
    assert git(clone.path, "status", "--porcelain") == ""


def test_an_agent_can_fetch_the_work_branch_and_cannot_push(scene: Scene) -> None:
    clone = scene.clone()
    version = commit(clone.path, {"a": "a"})
    scene.take(clone)
    scene.workspace.move_branch(PIPELINE, branch=f"egg/{PIPELINE}/tester", commit=version, expected=None)

    git(clone.path, "fetch", "-q", "origin")

    assert git(clone.path, "rev-parse", f"origin/egg/{PIPELINE}/tester") == version
    assert git(clone.path, "rev-parse", f"origin/egg/{PIPELINE}/work") == scene.base
    git(clone.path, "push", "origin", "HEAD:refs/heads/evil", check=False)
    assert scene.tip("evil") == ""


def test_opening_a_clone_again_returns_it_as_it_was_made(scene: Scene) -> None:
    run_id = uuid4()
    clone = scene.clone(run_id=run_id)
    (clone.path / "new").write_text("new")

    assert scene.clone(run_id=run_id) == clone
    assert (clone.path / "new").exists()


def test_opening_a_clone_removes_what_a_killed_try_left(scene: Scene) -> None:
    run_id = uuid4()
    leftover = scene.home / "runs" / str(run_id) / "clone.partial"
    leftover.mkdir(parents=True)
    (leftover / "junk").write_text("junk")

    clone = scene.clone(run_id=run_id)

    assert not leftover.exists()
    assert not (clone.path / "junk").exists()


def test_a_clone_of_a_role_with_a_branch_has_the_work_commit_merged_in(scene: Scene) -> None:
    mine = advance(scene, "coder", {"mine": "m"})
    work = advance(scene, "tester", {"theirs": "t"})

    clone = scene.clone("coder", work=work)

    assert clone.conflicts == ()
    assert git(clone.path, "log", "-1", "--format=%P %an").split() == [mine, work, "egg"]
    assert (clone.path / "theirs").exists()


def test_a_clone_whose_branch_conflicts_with_the_work_stays_clean_and_names_the_paths(scene: Scene) -> None:
    mine = advance(scene, "coder", {"shop.py": "mine\n"})
    work = advance(scene, "tester", {"shop.py": "theirs\n"})

    clone = scene.clone("coder", work=work)

    assert (clone.head, clone.conflicts) == (mine, ("shop.py",))
    assert git(clone.path, "status", "--porcelain") == ""


def test_a_checkout_holds_the_commit_on_no_branch(scene: Scene) -> None:
    version = advance(scene, "coder", {"a": "a"})

    checkout = scene.workspace.open_checkout(PIPELINE, run_id=uuid4(), commit=version)

    assert (checkout / "a").read_text() == "a"
    assert git(checkout, "rev-parse", "HEAD") == version


# History


def test_ancestors_are_those_a_commit_contains(scene: Scene) -> None:
    coder, tester = advance(scene, "coder", {"a": "a"}), advance(scene, "tester", {"b": "b"})
    merged = scene.workspace.merge(PIPELINE, work=scene.base, version=coder, message="Merge")
    assert isinstance(merged, Merged)

    among = [scene.base, coder, tester, merged.commit]
    found = scene.workspace.ancestors(PIPELINE, commit=merged.commit, among=among)

    assert found == {scene.base, coder, merged.commit}


def test_a_commit_nobody_took_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        scene.workspace.ancestors(PIPELINE, commit=scene.base, among=["f" * 40])
    with pytest.raises(NotFound):
        scene.workspace.tree(PIPELINE, commit="f" * 40)
    with pytest.raises(NotFound):
        scene.workspace.merge(PIPELINE, work=scene.base, version="f" * 40, message="x")


def test_a_merge_has_both_parents_and_moves_no_branch(scene: Scene) -> None:
    work, version = advance(scene, "coder", {"a": "a"}), advance(scene, "tester", {"b": "b"})

    merged = scene.workspace.merge(PIPELINE, work=work, version=version, message="Merge tester's version 1")

    assert isinstance(merged, Merged)
    shown = git(scene.bare, "log", "-1", "--format=%P|%s|%an <%ae>", merged.commit)
    assert shown == f"{work} {version}|Merge tester's version 1|egg <egg@localhost>"
    tree = scene.workspace.merged_tree(PIPELINE, ours=work, theirs=version)
    assert tree == scene.workspace.tree(PIPELINE, commit=merged.commit)
    assert scene.tip(f"egg/{PIPELINE}/work") == scene.base


def test_merging_what_the_work_contains_gives_the_work(scene: Scene) -> None:
    work = advance(scene, "coder", {"a": "a"})

    merged = scene.workspace.merge(PIPELINE, work=work, version=scene.base, message="x")

    assert merged == Merged(commit=work)


def test_a_merge_that_does_not_go_names_the_paths(scene: Scene) -> None:
    work = advance(scene, "coder", {"shop.py": "mine\n", "ñ b": "1\n"})
    version = advance(scene, "tester", {"shop.py": "theirs\n", "ñ b": "2\n"})

    outcome = scene.workspace.merge(PIPELINE, work=work, version=version, message="x")

    assert outcome == Conflicted(paths=("shop.py", "ñ b"))
    assert scene.workspace.merged_tree(PIPELINE, ours=work, theirs=version) == outcome


def test_a_branch_moves_only_from_where_it_is_expected(scene: Scene) -> None:
    work = f"egg/{PIPELINE}/work"
    one, two = advance(scene, "coder", {"a": "a"}), advance(scene, "tester", {"b": "b"})

    def move(commit: str, expected: str | None) -> bool:
        return scene.workspace.move_branch(PIPELINE, branch=work, commit=commit, expected=expected)

    assert move(one, scene.base)
    assert move(one, scene.base), "it is there already"
    assert not move(two, scene.base)
    assert not move(two, None)
    assert scene.tip(work) == one


def test_a_lock_left_by_a_killed_git_does_not_hold_a_branch(scene: Scene) -> None:
    version = advance(scene, "coder", {"a": "a"})
    (scene.bare / f"refs/heads/egg/{PIPELINE}/work.lock").touch()

    assert scene.workspace.move_branch(
        PIPELINE, branch=f"egg/{PIPELINE}/work", commit=version, expected=scene.base
    )


def test_of_many_movers_one_wins(scene: Scene) -> None:
    versions = [advance(scene, f"role{number}", {str(number): "x"}) for number in range(4)]
    won: list[bool] = []

    def move(version: str) -> Callable[[], None]:
        branch = f"egg/{PIPELINE}/work"
        return lambda: won.append(
            scene.workspace.move_branch(PIPELINE, branch=branch, commit=version, expected=scene.base)
        )

    together([move(version) for version in versions])

    assert sorted(won) == [False, False, False, True]


@pytest.mark.parametrize("branch", ["../x", "a..b", "-x", "a//b", "a.lock", "a/.b", "a b", ""])
def test_a_branch_that_is_no_name_is_malformed(scene: Scene, branch: str) -> None:
    with pytest.raises(Malformed):
        scene.workspace.move_branch(PIPELINE, branch=branch, commit=scene.base, expected=None)
