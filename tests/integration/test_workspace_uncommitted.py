"""What is uncommitted is what the agent's own git says, and what is saved for it is what it would save."""

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from egg_tasks import run_places
from egg_tasks.runners import container_files
from egg_tasks.workspace import changes, view
from models.errors import Conflict, Leftovers
from models.schemas.git import Clone
from tests.integration.runner_scene import launch
from tests.integration.workspace_scene import PIPELINE, Scene, commit, git

SWAP = "sed s/pointer/content/"
UNSWAP = "sed s/content/pointer/"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def begin(scene: Scene, files: dict[str, str]) -> Clone:
    """A clone of a role whose base holds these files."""
    return scene.clone(work=_taken(scene, files))


def _taken(scene: Scene, files: dict[str, str]) -> str:
    clone = scene.clone("tester")
    version = commit(clone.path, files)
    scene.take(clone)
    return version


def filtered(scene: Scene) -> Clone:
    """A clone in which its agent has set a filter up and fetched the content, as with git-crypt or LFS."""
    clone = begin(
        scene, {".gitattributes": "*.bin filter=swap\n", "m.bin": "pointer\n", "n.bin": "pointer\n"}
    )
    git(clone.path, "config", "filter.swap.smudge", SWAP)
    git(clone.path, "config", "filter.swap.clean", UNSWAP)
    for name in ("m.bin", "n.bin"):
        (clone.path / name).unlink()
    git(clone.path, "checkout", "-q", "m.bin", "n.bin")
    assert (clone.path / "m.bin").read_text() == "content\n"
    time.sleep(0.02)
    git(clone.path, "update-index", "-q", "--refresh", "--force-write-index")
    assert_clean(clone)
    return clone


def assert_clean(clone: Clone) -> None:
    assert git(clone.path, "status", "--porcelain") == ""


def names(scene: Scene, commit: str | None, *flags: str) -> list[str]:
    """What a commit changes against the one before it."""
    assert commit
    return git(scene.bare, "diff", "--name-only", *flags, f"{commit}^", commit).splitlines()


# Filters


def test_a_file_its_filter_has_written_is_not_uncommitted(scene: Scene) -> None:
    clone = filtered(scene)
    version = commit(clone.path, {"note": "done"})

    assert scene.take(clone) == version


def test_a_changed_filtered_file_is_refused_and_kept_never_committed_as_it_lies(scene: Scene) -> None:
    clone = filtered(scene)
    (clone.path / "m.bin").write_text("another\n")
    (clone.path / "new.bin").write_text("content of a new one\n")
    (clone.path / "plain").write_text("plain")

    with pytest.raises(Leftovers, match="filter swap") as refusal:
        scene.take(clone)
    saved = scene.save(clone)

    assert refusal.value.details["paths"] == ["m.bin", "new.bin", "plain"]
    assert saved
    assert saved.kept == ("m.bin", "new.bin")
    assert names(scene, saved.commit) == ["plain"]
    assert git(scene.bare, "log", "-1", "--format=%b", saved.commit).split()[-2:] == ["m.bin", "new.bin"]
    assert scene.save(clone) == saved


def test_no_name_of_a_file_is_a_trailer_of_our_commit(scene: Scene) -> None:
    clone = filtered(scene)
    (clone.path / "Signed-off-by: Ada <ada@example.org>.bin").write_text("content of a new one\n")
    (clone.path / "plain").write_text("plain")

    saved = scene.save(clone)

    assert saved
    assert git(scene.bare, "log", "-1", "--format=%(trailers)", saved.commit) == ""
    assert "    Signed-off-by: Ada" in git(scene.bare, "log", "-1", "--format=%b", saved.commit)


def test_a_filtered_file_of_the_same_size_that_was_written_to_is_not_clean(scene: Scene) -> None:
    clone = filtered(scene)
    before = (clone.path / "m.bin").stat()
    (clone.path / "m.bin").write_text("CONTENT\n")
    os.utime(clone.path / "m.bin", ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(Leftovers) as refusal:
        scene.take(clone)
    assert refusal.value.details["paths"] == ["m.bin"]


def test_a_touched_filtered_file_is_taken_once_the_agents_git_has_looked_at_it(scene: Scene) -> None:
    clone = filtered(scene)
    (clone.path / "m.bin").touch()
    (clone.path / "n.bin").write_text("content\n")

    with pytest.raises(Leftovers, match="`touch` them, then `git status`"):
        scene.take(clone)
    time.sleep(1.1)
    for name in ("m.bin", "n.bin"):
        (clone.path / name).touch()
    assert_clean(clone)

    assert scene.take(clone) == clone.head


def test_a_filtered_file_that_an_index_has_forgotten_is_not_deleted(scene: Scene) -> None:
    clone = filtered(scene)
    git(clone.path, "rm", "-q", "--cached", "m.bin")

    saved = scene.save(clone)

    assert saved
    assert (scene.saved(clone.branch, "m.bin"), saved.kept) == (b"pointer\n", ("m.bin",))


def test_a_filtered_file_of_a_repository_inside_the_clone_is_not_committed_as_it_lies(scene: Scene) -> None:
    clone = filtered(scene)
    git(clone.path, "worktree", "add", "-q", "inner", "-b", "other")
    (clone.path / "inner/m.bin").write_text("secret\n")
    (clone.path / "inner/plain").write_text("plain\n")

    saved = scene.save(clone)

    assert saved
    assert scene.saved(clone.branch, "inner/plain") == b"plain\n"
    assert saved.kept == ("inner/m.bin", "inner/n.bin")
    assert "secret" not in git(scene.bare, "show", clone.branch)


def test_what_the_agent_has_staged_is_saved_as_its_filter_made_it(scene: Scene) -> None:
    clone = filtered(scene)
    (clone.path / "m.bin").write_text("content more\n")
    git(clone.path, "add", "m.bin")

    saved = scene.save(clone)

    assert saved
    assert saved.kept == ()
    assert scene.saved(clone.branch, "m.bin") == b"pointer more\n"
    assert scene.saved(clone.branch, "n.bin") == b"pointer\n"


def test_a_filter_that_is_required_and_broken_changes_nothing(scene: Scene) -> None:
    clone = filtered(scene)
    git(clone.path, "config", "filter.swap.clean", "false")
    git(clone.path, "config", "filter.swap.required", "true")
    (clone.path / "plain").write_text("plain")

    saved = scene.save(clone)

    assert saved
    assert (saved.kept, names(scene, saved.commit)) == ((), ["plain"])


# Sparse checkouts, skip-worktree, assume-unchanged


@pytest.mark.parametrize("mode", [("--cone",), ("--no-cone",), ("--cone", "--sparse-index")])
def test_what_a_sparse_checkout_leaves_out_is_neither_refused_nor_deleted(
    scene: Scene, mode: tuple[str, ...]
) -> None:
    clone = begin(scene, {"src/a": "a", "docs/d": "d", "docs/deep/e": "e"})
    git(clone.path, "sparse-checkout", "set", *mode, "src")
    assert not (clone.path / "docs").exists()
    version = commit(clone.path, {"src/b": "b"})
    assert scene.take(clone) == version
    (clone.path / "src/c").write_text("c")
    (clone.path / "src/a").unlink()

    saved = scene.save(clone)

    assert saved
    assert names(scene, saved.commit) == ["src/a", "src/c"]
    assert names(scene, saved.commit, "--diff-filter=D") == ["src/a"]


def test_what_is_staged_outside_of_a_sparse_checkout_is_saved(scene: Scene) -> None:
    clone = begin(scene, {"src/a": "a", "docs/d": "d", "docs/e": "e"})
    git(clone.path, "sparse-checkout", "set", "src")
    git(clone.path, "rm", "-q", "--sparse", "docs/d")

    saved = scene.save(clone)

    assert saved
    assert names(scene, saved.commit, "--diff-filter=D") == ["docs/d"]


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_a_file_the_agents_git_was_told_not_to_look_at_is_left_alone(scene: Scene, flag: str) -> None:
    clone = begin(scene, {"settings": "theirs", "other": "o"})
    git(clone.path, "update-index", flag, "settings", "other")
    (clone.path / "settings").write_text("mine, for trying")
    (clone.path / "other").unlink()
    assert_clean(clone)
    assert scene.take(clone) == clone.head
    (clone.path / "plain").write_text("plain")

    assert names(scene, scene.salvage(clone)) == ["plain"]


# Line ends and other conversions git has built in


@pytest.mark.parametrize("rule", ["* text=auto eol=crlf", "*.txt text", "*.txt eol=crlf", "*.txt ident"])
def test_conversions_that_git_has_built_in_are_clean_and_saved_as_git_saves_them(
    scene: Scene, rule: str
) -> None:
    clone = begin(scene, {".gitattributes": f"{rule}\n", "a.txt": "$Id$\none\ntwo\n", "b.txt": "b\n"})
    assert scene.take(clone) == clone.head
    (clone.path / "a.txt").write_bytes(b"$Id$\r\none\r\nthree\r\n")

    saved = scene.save(clone)

    assert saved
    git(clone.path, "add", "a.txt")
    assert scene.saved(clone.branch, "a.txt").decode() == git(clone.path, "cat-file", "blob", ":a.txt") + (
        "\r\n" if "ident" in rule else "\n"
    )
    assert names(scene, saved.commit) == ["a.txt"]


def test_a_clone_that_its_agent_works_in_with_other_line_ends_is_clean(scene: Scene) -> None:
    clone = begin(scene, {"a.txt": "one\ntwo\n", "b.txt": "b\n"})
    git(clone.path, "config", "core.autocrlf", "true")
    (clone.path / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    (clone.path / "b.txt").write_bytes(b"b\r\nmore\r\n")

    saved = scene.save(clone)

    assert saved
    assert names(scene, saved.commit) == ["b.txt"]
    assert scene.saved(clone.branch, "b.txt") == b"b\nmore\n"


@pytest.mark.parametrize("rule", ["*.txt text", "*.txt eol=lf", "*.txt filter=swap"])
def test_a_file_that_is_byte_for_byte_as_committed_is_clean_whatever_its_conversions_would_make_of_it(
    scene: Scene, rule: str
) -> None:
    """A rule that came after files it does not fit: git calls them changed, or not, by when it looked."""
    files = {"a.txt": "one\r\ntwo\r\n", "b.txt": "b\n"}
    clone = begin(scene, files)
    (clone.path / ".gitattributes").write_text(f"{rule}\n")
    git(clone.path, "add", ".gitattributes")
    git(clone.path, "commit", "-q", "-m", "rules")
    version = git(clone.path, "rev-parse", "HEAD")
    git(clone.path, "config", "filter.swap.clean", r"tr -d '\r'")
    for name in files:
        os.utime(clone.path / name, (1, 1))

    assert git(clone.path, "status", "--porcelain") == "M a.txt"
    assert scene.take(clone) == version

    (clone.path / "new.md").write_text("new\n")
    assert names(scene, scene.salvage(clone)) == ["new.md"]


def test_a_file_in_conflict_is_uncommitted_though_it_is_as_one_side_has_it(scene: Scene) -> None:
    clone = begin(scene, {"a.txt": "one\n"})
    git(clone.path, "checkout", "-q", "-b", "theirs")
    commit(clone.path, {"a.txt": "theirs\n"})
    git(clone.path, "checkout", "-q", "-")
    commit(clone.path, {"a.txt": "ours\n"})
    git(clone.path, "merge", "-q", "theirs", check=False)
    git(clone.path, "merge", "--quit")
    for text in ("theirs\n", "ours\n", "one\n"):
        (clone.path / "a.txt").write_text(text)

        with pytest.raises(Conflict, match=r"a\.txt"):
            scene.take(clone)


def test_an_agent_that_does_not_look_at_modes_has_changed_none(scene: Scene) -> None:
    clone = scene.clone()
    git(clone.path, "config", "core.fileMode", "false")
    (clone.path / "shop.py").chmod(0o755)

    assert scene.take(clone) == clone.head


# What the agent's own git ignores


def test_what_the_agents_own_git_ignores_is_not_uncommitted(scene: Scene) -> None:
    clone = scene.clone()
    home = clone.path.parent / "home"
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text(".idea\n")
    (clone.path / ".idea").write_text("mine")
    assert scene.take(clone) == clone.head
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    (home / "mine").write_text("*.swp\n")
    (clone.path / "x.swp").write_text("mine")

    with pytest.raises(Leftovers) as refusal:
        scene.take(clone)
    assert refusal.value.details["paths"] == [".idea"]


def test_a_home_the_definition_gives_is_where_the_agents_git_looks(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    own = run_places.ours(clone.path.parent)
    own.mkdir(parents=True)
    (own / "spec.json").write_text(f'{{"environment": {{"HOME": "{tmp_path}/user"}}}}')
    (tmp_path / "user/.config/git").mkdir(parents=True)
    (tmp_path / "user/.config/git/ignore").write_text(".idea\n")
    (clone.path / ".idea").write_text("mine")

    assert scene.take(clone) == clone.head


def contained(scene: Scene, home: Path, **environment: str) -> Clone:
    """A clone of an agent in a container, as that is laid out, with something in it that is not committed."""
    clone = scene.clone()
    given = clone.path.parent
    run = launch("true", run_id=UUID(given.name), home=home, environment=environment)
    own = run_places.layout(given, directory=None, tools=home).own
    container_files.write(given, own, run, owner=os.geteuid(), engine="")
    (clone.path / ".idea").write_text("mine")
    return clone


@pytest.mark.parametrize(
    ("files", "environment"),
    [
        ({".config/git/ignore": ".idea"}, {}),
        ({".gitconfig": "[core]\n\texcludesFile = /home/agent/mine", "mine": ".idea"}, {}),
        ({".gitconfig": "[core]\n\texcludesFile = ~/mine", "mine": ".idea"}, {}),
        ({"x/git/ignore": ".idea"}, {"XDG_CONFIG_HOME": "/home/agent/x"}),
        ({"x/.config/git/ignore": ".idea"}, {"HOME": "/home/agent/x"}),
    ],
)
def test_the_home_of_an_agent_in_a_container_is_read_where_it_is_on_this_machine(
    scene: Scene, tmp_path: Path, files: dict[str, str], environment: dict[str, str]
) -> None:
    home = tmp_path / "roles/coder/home"
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"{text}\n")
    clone = contained(scene, home, **environment)

    assert scene.take(clone) == clone.head


@pytest.mark.parametrize("is_in_container", [True, False])
def test_what_this_machine_says_to_all_its_users_is_not_said_to_an_agent_in_a_container(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_in_container: bool
) -> None:
    monkeypatch.setattr(view, "MACHINES", tmp_path)
    (tmp_path / "gitconfig").write_text("[core]\n\tfileMode = false\n")
    clone = contained(scene, tmp_path / "home-of-it") if is_in_container else scene.clone()
    (clone.path / ".idea").unlink(missing_ok=True)
    (clone.path / "shop.py").chmod(0o755)

    with pytest.raises(Leftovers) if is_in_container else nullcontext():
        scene.take(clone)


def test_a_path_of_this_machine_is_no_home_of_an_agent_in_a_container(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "user/.config/git").mkdir(parents=True)
    (tmp_path / "user/.config/git/ignore").write_text(".idea\n")
    clone = contained(scene, tmp_path / "home-of-it", HOME=f"{tmp_path}/user")

    with pytest.raises(Leftovers):
        scene.take(clone)


@pytest.mark.parametrize("link", ["x", "x/.config", "x/.config/git", "x/.config/git/ignore"])
def test_no_link_in_the_home_of_an_agent_in_a_container_is_followed(
    scene: Scene, tmp_path: Path, link: str
) -> None:
    home, elsewhere = tmp_path / "roles/coder/home", tmp_path / "elsewhere"
    (elsewhere / "x/.config/git").mkdir(parents=True)
    (elsewhere / "x/.config/git/ignore").write_text(".idea\n")
    (home / link).parent.mkdir(parents=True)
    (home / link).symlink_to(elsewhere / link)
    clone = contained(scene, home, HOME="/home/agent/x")

    with pytest.raises(Leftovers):
        scene.take(clone)


# Indexes


def test_a_split_index_and_one_of_another_version_are_read(scene: Scene) -> None:
    clone = begin(scene, {"src/a": "a", "src/b": "b"})
    git(clone.path, "update-index", "--split-index")
    git(clone.path, "rm", "-q", "src/a")
    git(clone.path, "commit", "-qm", "gone")
    assert scene.take(clone) == git(clone.path, "rev-parse", "HEAD")
    git(clone.path, "update-index", "--no-split-index", "--index-version", "4")
    (clone.path / "src/b").write_text("changed")

    assert names(scene, scene.salvage(clone)) == ["src/b"]


def test_a_file_that_is_only_meant_to_be_added_is_uncommitted_and_saved(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "new").write_text("new")
    git(clone.path, "add", "-N", "new")

    with pytest.raises(Leftovers):
        scene.take(clone)
    assert names(scene, scene.salvage(clone)) == ["new"]


@pytest.mark.parametrize("content", [None, b"", b"DIRC nonsense", b"DIRC\0\0\0\2\0\0\0\x09"])
def test_without_a_sound_index_nothing_the_agent_has_not_touched_is_deleted(
    scene: Scene, content: bytes | None
) -> None:
    clone = begin(scene, {"src/a": "a", "docs/d": "d"})
    git(clone.path, "sparse-checkout", "set", "src")
    (clone.path / "src/b").write_text("b")
    (clone.path / ".git/index").unlink()
    if content is not None:
        (clone.path / ".git/index").write_bytes(content)

    with pytest.raises(Conflict):
        scene.take(clone)
    saved = scene.save(clone)

    assert saved
    assert names(scene, saved.commit) == ["src/b"]
    assert "docs/d" in saved.kept


def test_a_clone_that_cannot_be_read_does_not_take_back_what_it_began_with(scene: Scene) -> None:
    mine = scene.clone()
    scene.workspace.move_branch(PIPELINE, branch=mine.branch, commit=mine.head, expected=None)
    clone = begin(scene, {"theirs": "t"})
    (clone.path / "mine").write_text("m")
    (clone.path / ".git/HEAD").write_text("nonsense")

    assert names(scene, scene.salvage(clone)) == ["mine"]


def test_a_configuration_that_git_cannot_read_refuses_and_loses_nothing(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / ".git/config").write_text("[core\nautocrlf = true")
    (clone.path / "new").write_text("new")

    with pytest.raises(Conflict, match="configuration"):
        scene.take(clone)
    assert names(scene, scene.salvage(clone)) == ["new"]


# What READY was refused for


def test_what_a_ready_was_refused_for_is_set_aside_and_not_on_the_roles_branch(scene: Scene) -> None:
    clone = scene.clone()
    version = commit(clone.path, {"good": "good"})
    (clone.path / "left").write_text("left")

    saved = scene.save(clone, is_refused=True)

    assert saved
    assert (saved.commit, scene.tip(clone.branch)) == (version, version)
    assert saved.set_aside is not None
    assert names(scene, scene.tip(saved.set_aside)) == ["left"]
    assert scene.save(clone, is_refused=True) == saved


# Harm


def pipe_of_rules(clone: Path) -> str:
    (clone / "deep").mkdir()
    (clone / "deep/file").write_text("x")
    os.mkfifo(clone / "deep/.gitignore")
    return "deep/.gitignore"


def pipe_in_a_repository_inside(clone: Path) -> str:
    for folder in ("objects", "refs"):
        (clone / "inner/.git" / folder).mkdir(parents=True)
    (clone / "inner/file").write_text("x")
    os.mkfifo(clone / "inner/.git/HEAD")
    return "inner/.git/HEAD"


@pytest.mark.parametrize("harm", [pipe_of_rules, pipe_in_a_repository_inside])
def test_pipes_git_would_wait_for_for_ever_refuse_and_lose_no_commit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], str]
) -> None:
    monkeypatch.setattr(changes, "LOOK_LIMIT", timedelta(seconds=1))
    clone = scene.clone()
    version = commit(clone.path, {"good": "good"})
    pipe = harm(clone.path)

    with pytest.raises(Conflict, match=rf"{pipe}, which is no file"):
        scene.take(clone)
    saved = scene.save(clone)

    assert saved
    assert (scene.tip(clone.branch), saved.kept) == (version, (pipe,))


def test_a_file_that_git_would_read_for_hours_keeps_no_run_from_ending(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LOOK_LIMIT", timedelta(seconds=1))
    clone = scene.clone()
    version = commit(clone.path, {"good": "good"})
    blob = git(clone.path, "rev-parse", "HEAD:good")
    git(clone.path, "update-index", "--add", "--cacheinfo", f"100644,{blob},giant")
    with (clone.path / "giant").open("wb") as file:
        file.truncate(500 * 1024**3)

    saved = scene.save(clone)

    assert saved
    assert (scene.tip(clone.branch), saved.kept) == (version, ("giant",))
