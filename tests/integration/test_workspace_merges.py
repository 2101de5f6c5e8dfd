"""Merges obey the attributes of the repository, and run nothing it names."""

import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from egg_tasks.workspace import GitWorkspace, bounds, merge_attributes
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.history import contains
from models.errors import TookTooLong
from models.schemas.git import Conflicted, Merged
from tests.integration.workspace_scene import PIPELINE, Scene, advance, commit, git

UNION = "CHANGES.md merge=union\n"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def merged(scene: Scene, attributes: dict[str, str], ours: dict[str, str], theirs: dict[str, str]) -> object:
    """What merging *theirs* into *ours* gives: by path the text, or the paths in conflict."""
    start = commit(scene.source, {"CHANGES.md": "begin\n", "deep/down/log": "begin\n", **attributes}, "rules")
    pipeline = "with-rules"
    scene.workspace.prepare(pipeline, source=str(scene.source), base="main")
    bare = scene.workspace.repository(pipeline)
    sides = []
    for files in (ours, theirs):
        git(scene.source, "checkout", "-q", "-B", "side", start)
        sides.append(commit(scene.source, files))
        git(bare, "fetch", "-q", str(scene.source), "side")
    outcome = scene.workspace.merge(pipeline, work=sides[0], version=sides[1], message="x")
    if isinstance(outcome, Conflicted):
        return outcome.paths
    return {path: git(bare, "show", f"{outcome.commit}:{path}") for path in theirs}


def test_lines_of_both_sides_stay_where_the_repository_asks_for_their_union(scene: Scene) -> None:
    found = merged(
        scene,
        {".gitattributes": UNION},
        {"CHANGES.md": "begin\nours\n"},
        {"CHANGES.md": "begin\ntheirs\n"},
    )

    assert found == {"CHANGES.md": "begin\nours\ntheirs"}


def test_attributes_of_a_folder_are_obeyed(scene: Scene) -> None:
    found = merged(
        scene,
        {"deep/.gitattributes": "log merge=union\n"},
        {"deep/down/log": "ours\n"},
        {"deep/down/log": "theirs\n"},
    )

    assert found == {"deep/down/log": "ours\ntheirs"}


@pytest.mark.parametrize("rule", ["-merge", "merge=binary", "binary"])
def test_what_must_not_be_merged_is_a_conflict_however_far_apart_its_changes_are(
    scene: Scene, rule: str
) -> None:
    lines = [f"{number}\n" for number in range(40)]
    both = {"data": "".join(lines)}
    ours = {"data": "".join(["ours\n", *lines[1:]])}
    theirs = {"data": "".join([*lines[:-1], "theirs\n"])}

    assert merged(scene, {".gitattributes": f"data {rule}\n", **both}, ours, theirs) == ("data",)


def test_a_driver_of_the_repositorys_own_is_not_run(scene: Scene, tmp_path: Path) -> None:
    git(scene.source, "config", "merge.own.driver", f"touch {tmp_path}/ran")

    found = merged(
        scene, {".gitattributes": "* merge=own\n"}, {"CHANGES.md": "ours\n"}, {"CHANGES.md": "theirs\n"}
    )

    assert found == ("CHANGES.md",)
    assert not (tmp_path / "ran").exists()


def test_the_attributes_of_the_side_that_is_merged_into_count(scene: Scene) -> None:
    lines = {"CHANGES.md": "ours\n", ".gitattributes": UNION}

    assert merged(scene, {}, lines, {"CHANGES.md": "theirs\n"}) == {"CHANGES.md": "ours\ntheirs"}
    assert merged(scene, {}, {"CHANGES.md": "theirs\n"}, lines) == ("CHANGES.md",)


def test_a_link_in_the_place_of_attributes_is_not_followed(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(UNION)
    (scene.source / ".gitattributes").symlink_to(tmp_path / "rules")

    assert merged(scene, {}, {"CHANGES.md": "ours\n"}, {"CHANGES.md": "theirs\n"}) == ("CHANGES.md",)


def test_a_clone_is_brought_up_to_the_work_branch_by_the_same_rules(scene: Scene) -> None:
    work = advance(scene, "coder", {".gitattributes": UNION, "CHANGES.md": "begin\n"})
    later = scene.clone("tester", work=work)
    version = commit(later.path, {"CHANGES.md": "begin\ntester\n"})
    scene.take(later)
    scene.workspace.move_branch(PIPELINE, branch=later.branch, commit=version, expected=None)
    grown = advance(scene, "coder", {"CHANGES.md": "begin\ncoder\n"})

    again = scene.clone("tester", work=grown)

    assert again.conflicts == ()
    assert contains(Git(scene.bare), again.head, grown)
    assert isinstance(scene.workspace.merge(PIPELINE, work=grown, version=again.head, message="x"), Merged)


def planted(scene: Scene, files: dict[str, str]) -> Git:
    """A repository whose head holds files that no disk need be able to hold."""
    entries = "".join(f"M 644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items())
    head = f"commit refs/heads/planted\ncommitter a <a@b> 1 +0000\ndata 1\nx\n{entries}"
    inside = Git(scene.bare)
    inside.run("fast-import", "--quiet", stdin=head.encode())
    return inside


def test_attributes_under_a_name_that_no_disk_can_hold_are_passed_over(scene: Scene) -> None:
    inside = planted(scene, {"n" * 300 + "/.gitattributes": UNION, ".gitattributes": UNION})

    with merge_attributes.obeyed(inside, inside.line("rev-parse", "planted")) as obeying:
        assert obeying.work_tree
        assert [path.name for path in obeying.work_tree.rglob("*")] == [".gitattributes"]


def test_a_flood_of_attributes_is_not_held_at_once(scene: Scene) -> None:
    size = merge_attributes.LARGEST - 100
    flood = {f"{number}/.gitattributes": f"{number} merge\n".ljust(size) for number in range(200)}
    inside = planted(scene, flood)

    tracemalloc.start()
    with merge_attributes.obeyed(inside, inside.line("rev-parse", "planted")):
        most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most < 3 * merge_attributes.LARGEST_TOGETHER


def test_a_merge_that_takes_too_long_names_the_setting_that_allows_more(scene: Scene) -> None:
    hasty = GitWorkspace(scene.home, merge_limit=timedelta(microseconds=1))

    with pytest.raises(TookTooLong, match=r"a person may allow more than EGG_MERGE_SECONDS \(120\)"):
        hasty.merge(PIPELINE, work=scene.base, version="1" * 40, message="x")


def test_a_single_git_has_all_the_time_that_a_merge_was_given() -> None:
    with bounds.within(timedelta(minutes=10)):
        assert bounds.seconds_left(bounds.USUAL, "git") > 500
        assert bounds.seconds_left(timedelta(seconds=20), "git status") == 20

    assert bounds.seconds_left(bounds.USUAL, "git") == 120
