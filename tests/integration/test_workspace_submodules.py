"""Submodules in clones and checkouts, and links to commits that nobody else has."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks.workspace.links import Submodule
from egg_tasks.workspace.origins import Origin, relative
from models.errors import Conflict
from models.schemas.git import Clone
from tests.integration.workspace_scene import (
    Scene,
    booby_trap,
    commit,
    git,
    git_elsewhere,
    git_file,
    no_objects,
    other_alternates,
    pipe_head,
    run_of,
)

LIBRARY = "vendor/lib"
ALLOWED = ("-c", "protocol.file.allow=always")


class Shop:
    """A repository with a library as a submodule, and a pipeline made of it."""

    def __init__(self, scene: Scene, directory: Path, *, url: str | None = None, remote: str = "") -> None:
        self.scene = scene
        self.library = directory / "upstream/lib.git"
        self.library.mkdir(parents=True)
        git(self.library, "init", "-q", "-b", "main")
        self.first = commit(self.library, {"lib.py": "answer = 42\n"})
        self.source = directory / "upstream/shop"
        self.source.mkdir()
        git(self.source, "init", "-q", "-b", "main")
        commit(self.source, {"README": "shop\n"})
        if remote:
            git(self.source, "remote", "add", "origin", remote)
        add = ["submodule", "--quiet", "add", "--name", "the lib"]
        git(self.source, *ALLOWED, *add, str(self.library), LIBRARY)
        if url is not None:
            git(self.source, "config", "-f", ".gitmodules", "submodule.the lib.url", url)
        commit(self.source, {}, "with a library")

    def forget_checkout(self) -> None:
        """As in a fresh clone of it: the submodule is not checked out."""
        git(self.source, "submodule", "--quiet", "deinit", "-f", "--all")
        subprocess.run(["rm", "-rf", str(self.source / ".git/modules")], check=True)

    def prepare(self) -> str:
        """Make the pipeline of it; the base commit."""
        self.base = self.scene.workspace.prepare("shop", source=str(self.source), base="HEAD")
        return self.base

    def clone(self, work: str | None = None) -> Clone:
        """A coder's clone."""
        return self.scene.workspace.open_clone(
            "shop", role="coder", run_id=uuid4(), work_commit=work or self.base
        )

    def take(self, clone: Clone) -> str:
        """The commit that is taken from it."""
        return self.scene.workspace.take("shop", run_id=run_of(clone), clone=clone.path).commit


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "scene")


@pytest.fixture
def shop(scene: Scene, tmp_path: Path) -> Shop:
    shop = Shop(scene, tmp_path)
    shop.prepare()
    return shop


def text(path: Path) -> str:
    return (path / LIBRARY / "lib.py").read_text()


def test_a_clone_and_a_checkout_have_the_files_of_submodules(shop: Shop) -> None:
    clone = shop.clone()
    checkout = shop.scene.workspace.open_checkout("shop", run_id=uuid4(), commit=shop.base)

    assert (text(clone.path), text(checkout)) == ("answer = 42\n", "answer = 42\n")
    assert clone.missing == ()
    assert git(clone.path, "status", "--porcelain") == ""
    assert git(clone.path, "submodule", "status") == f"{shop.first} {LIBRARY} (remotes/origin/main)"
    assert shop.take(clone) == shop.base


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("../lib.git", ""),
        ("../lib.git", "{upstream}/elsewhere.git"),
        ("./../lib.git", "file://{upstream}/elsewhere.git"),
        ("file://{upstream}/lib.git", ""),
    ],
)
def test_a_url_is_resolved_against_the_source_as_git_does(
    scene: Scene, tmp_path: Path, url: str, remote: str
) -> None:
    upstream = str(tmp_path / "upstream")
    shop = Shop(scene, tmp_path, url=url.format(upstream=upstream), remote=remote.format(upstream=upstream))
    shop.forget_checkout()
    shop.prepare()

    assert text(shop.clone().path) == "answer = 42\n"


def test_what_the_person_has_checked_out_is_enough_where_the_url_is_out_of_reach(
    scene: Scene, tmp_path: Path
) -> None:
    shop = Shop(scene, tmp_path, url="https://nobody.invalid/lib.git")
    shop.prepare()

    assert text(shop.clone().path) == "answer = 42\n"


def test_a_submodule_that_cannot_be_had_is_named_and_keeps_nobody_back(scene: Scene, tmp_path: Path) -> None:
    shop = Shop(scene, tmp_path, url=f"file://{tmp_path}/nowhere")
    shop.forget_checkout()
    shop.prepare()

    clone = shop.clone()

    assert clone.missing == (LIBRARY,)
    made = commit(clone.path, {"more.py": "more\n"})
    assert shop.take(clone) == made


@pytest.mark.parametrize("url", ["ext::touch {marker}", "fd::1", "--upload-pack=touch {marker}", "lib"])
def test_a_url_that_starts_a_program_is_never_fetched(scene: Scene, tmp_path: Path, url: str) -> None:
    shop = Shop(scene, tmp_path, url=url.format(marker=tmp_path / "ran"))
    shop.forget_checkout()
    shop.prepare()

    assert shop.clone().missing == (LIBRARY,)
    assert not (tmp_path / "ran").exists()


def test_submodules_of_submodules_are_there_too(scene: Scene, tmp_path: Path) -> None:
    shop = Shop(scene, tmp_path)
    inner = tmp_path / "upstream/inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    commit(inner, {"inner.py": "1\n"})
    git(shop.library, *ALLOWED, "submodule", "--quiet", "add", "../inner", "deep")
    git(shop.library, "config", "-f", ".gitmodules", "submodule.deep.url", "../inner")
    moved = commit(shop.library, {}, "deeper")
    git(shop.source / LIBRARY, "fetch", "-q")
    git(shop.source / LIBRARY, "checkout", "-q", moved)
    commit(shop.source, {}, "moved")
    shop.prepare()

    clone = shop.clone()

    assert (clone.path / LIBRARY / "deep/inner.py").read_text() == "1\n"
    assert clone.missing == ()


def test_a_submodule_moved_to_a_commit_of_the_agents_own_is_refused(shop: Shop) -> None:
    clone = shop.clone()
    own = commit(clone.path / LIBRARY, {"lib.py": "answer = 43\n"})
    commit(clone.path, {}, "use it")

    with pytest.raises(Conflict, match="nobody else has") as refusal:
        shop.take(clone)

    assert refusal.value.details == {"paths": [LIBRARY], "links": {LIBRARY: own}}
    assert f"git -C {LIBRARY} checkout {shop.first[:10]}" in refusal.value.message


def test_a_submodule_moved_and_not_committed_is_uncommitted_work(shop: Shop) -> None:
    clone = shop.clone()
    commit(clone.path / LIBRARY, {"lib.py": "answer = 43\n"})

    with pytest.raises(Conflict) as refusal:
        shop.take(clone)

    assert refusal.value.details["paths"] == [LIBRARY]


def test_a_submodule_moved_to_what_its_upstream_has_is_taken_and_later_clones_have_it(shop: Shop) -> None:
    clone = shop.clone()
    bumped = commit(shop.library, {"lib.py": "answer = 44\n"})
    git(clone.path / LIBRARY, "fetch", "-q")
    git(clone.path / LIBRARY, "checkout", "-q", bumped)
    head = commit(clone.path, {}, "bump")

    assert shop.take(clone) == head
    assert text(shop.clone(work=head).path) == "answer = 44\n"


def test_a_submodule_moved_back_to_an_older_commit_is_taken(scene: Scene, tmp_path: Path) -> None:
    shop = Shop(scene, tmp_path)
    newer = commit(shop.library, {"lib.py": "answer = 43\n"})
    git(shop.source / LIBRARY, "fetch", "-q")
    git(shop.source / LIBRARY, "checkout", "-q", newer)
    commit(shop.source, {}, "newer")
    shop.prepare()
    clone = shop.clone()
    git(clone.path / LIBRARY, "checkout", "-q", shop.first)
    head = commit(clone.path, {}, "back")

    assert shop.take(clone) == head


def test_a_repository_inside_the_clone_that_was_added_as_a_link_is_refused(shop: Shop) -> None:
    clone = shop.clone()
    inner = clone.path / "tools"
    inner.mkdir()
    git(inner, "init", "-q")
    made = commit(inner, {"tool.py": "tool\n"})
    commit(clone.path, {}, "add tools")

    with pytest.raises(Conflict, match="git rm --cached tools") as refusal:
        shop.take(clone)

    assert refusal.value.details["links"] == {"tools": made}


@pytest.mark.parametrize("name", ["n" * 300, "\udcff", "a\nb"])
def test_odd_names_of_an_agents_own_links_are_told_as_text_and_lose_nothing(shop: Shop, name: str) -> None:
    clone = shop.clone()
    inner = clone.path / name[:9]
    inner.mkdir()
    git(inner, "init", "-q")
    (clone.path / ".gitmodules").write_bytes(
        b'[submodule "%s"]\n\tpath = "%s"\n\turl = x\n'
        % (os.fsencode(name.replace("\n", "")), os.fsencode(name[:9].replace("\n", "\\n")))
    )
    made = commit(inner, {"tool.py": "tool\n"})
    git(clone.path, "-c", "advice.addEmbeddedRepo=false", "add", "-A")
    git(clone.path, "commit", "-q", "-m", "add tools")

    with pytest.raises(Conflict) as refusal:
        shop.take(clone)
    saved = save(shop, clone)
    shop.scene.workspace.move_branch(
        "shop", branch="egg/shop/work", commit=git(clone.path, "rev-parse", "HEAD"), expected=shop.base
    )
    later = shop.clone(work=shop.scene.workspace.head("shop", clone=clone.path))

    told = (refusal.value.message, *saved, *later.missing)
    assert all(text.isprintable() for text in told)
    assert made in git(shop.scene.workspace.repository("shop"), "for-each-ref")


def test_a_url_that_an_agent_wrote_is_not_fetched_from(shop: Shop, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    git(evil, "init", "-q")
    other = commit(evil, {"evil.py": "evil\n"})
    clone = shop.clone()
    git(clone.path, "config", "-f", ".gitmodules", "submodule.the lib.url", str(evil))
    git(clone.path, "config", "submodule.the lib.url", str(evil))
    git(clone.path, "update-index", "--cacheinfo", f"160000,{other},{LIBRARY}")
    git(clone.path / LIBRARY, "fetch", "-q", str(evil))
    git(clone.path / LIBRARY, "checkout", "-q", other)
    commit(clone.path, {}, "evil")

    with pytest.raises(Conflict, match="nobody else has"):
        shop.take(clone)


def test_a_link_without_a_submodule_that_the_base_has_is_left_alone(scene: Scene) -> None:
    inner = scene.source / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    commit(inner, {"a": "b\n"})
    base = commit(scene.source, {}, "link")
    scene.workspace.prepare("linked", source=str(scene.source), base="main")
    clone = scene.workspace.open_clone("linked", role="coder", run_id=uuid4(), work_commit=base)
    made = commit(clone.path, {"more.py": "more\n"})

    assert scene.workspace.take("linked", run_id=run_of(clone), clone=clone.path).commit == made


@pytest.mark.parametrize(
    ("base", "url", "found"),
    [
        ("https://example.org/team/shop.git", "../lib.git", "https://example.org/team/lib.git"),
        ("https://example.org/team/shop.git/", "../../all/lib", "https://example.org/all/lib"),
        ("git@example.org:team/shop.git", "../lib.git", "git@example.org:team/lib.git"),
        ("git@example.org:shop.git", "../lib.git", "git@example.org:lib.git"),
        ("/srv/git/shop", "./lib", "/srv/git/shop/lib"),
    ],
)
def test_relative_urls_are_taken_from_where_the_repository_is(base: str, url: str, found: str) -> None:
    assert relative(base, url) == found


def test_a_repository_of_another_machine_names_no_place_on_this_disk(tmp_path: Path) -> None:
    origin = Origin(("https://example.org/shop.git",))

    assert origin.of_submodule(Submodule("lib", "lib", str(tmp_path))).urls == ()
    assert origin.of_submodule(Submodule("lib", "lib", f"file://{tmp_path}")).urls == ()
    assert origin.of_submodule(Submodule("lib", "lib", "../lib.git")).urls == ("https://example.org/lib.git",)


def test_nor_does_a_submodule_from_another_machine_in_a_repository_of_this_one(tmp_path: Path) -> None:
    here = Origin((str(tmp_path),), (tmp_path,), tmp_path, is_here=True)

    own, strangers = (
        here.of_submodule(Submodule("lib", "lib", url)) for url in ("/srv/lib.git", "https://example.org/lib")
    )

    assert own.of_submodule(Submodule("in", "in", "/srv/in.git")).urls == ("/srv/in.git",)
    assert strangers.of_submodule(Submodule("in", "in", "/home/me/secret.git")).urls == ()


def save(shop: Shop, clone: Clone) -> tuple[str, ...]:
    return shop.scene.workspace.save_strays("shop", run_id=run_of(clone), clone=clone.path).saved


@pytest.mark.parametrize("file", ["lib.py", "new.py"])
def test_uncommitted_work_in_a_submodule_is_refused_and_saved(shop: Shop, file: str) -> None:
    clone = shop.clone()
    (clone.path / LIBRARY / file).write_text("answer = 43\n")

    with pytest.raises(Conflict) as refusal:
        shop.take(clone)
    (told,) = save(shop, clone)

    assert refusal.value.details == {"paths": [f"{LIBRARY}/{file}"]}
    assert save(shop, clone) == (told,)
    assert told.startswith(f"uncommitted work of {LIBRARY} is kept on egg/shop/salvage/")
    branch, _, held = told.partition("kept on ")[2].partition(" in ")
    assert git(Path(held), "show", f"{branch}:{file}") == "answer = 43"


def test_what_gitmodules_ignores_in_a_submodule_is_no_change(scene: Scene, tmp_path: Path) -> None:
    shop = Shop(scene, tmp_path)
    git(shop.source, "config", "-f", ".gitmodules", "submodule.the lib.ignore", "untracked")
    commit(shop.source, {}, "ignore")
    base = shop.prepare()
    clone = shop.clone()
    (clone.path / LIBRARY / "built.o").write_text("built\n")

    assert shop.take(clone) == base
    assert save(shop, clone) == ()


def test_what_the_agents_own_git_ignores_in_a_submodule_is_no_change(shop: Shop) -> None:
    clone = shop.clone()
    ignore = clone.path.parent / "home/.config/git/ignore"
    ignore.parent.mkdir(parents=True)
    ignore.write_text("__pycache__/\n")
    (clone.path / LIBRARY / "__pycache__").mkdir()
    (clone.path / LIBRARY / "__pycache__/lib.pyc").write_text("x")

    assert shop.take(clone) == shop.base
    assert save(shop, clone) == ()


def test_a_branch_of_a_submodule_is_not_left_behind(shop: Shop) -> None:
    clone = shop.clone()
    git(clone.path / LIBRARY, "checkout", "-q", "-b", "topic")
    left = commit(clone.path / LIBRARY, {"lib.py": "answer = 43\n"})
    git(clone.path / LIBRARY, "checkout", "-q", shop.first)

    with pytest.raises(Conflict) as refusal:
        shop.take(clone)

    assert refusal.value.details == {"strays": {f"branch topic of {LIBRARY}": left}}


def test_what_was_committed_in_a_submodule_is_saved_where_it_is_held(shop: Shop) -> None:
    clone = shop.clone()
    own = commit(clone.path / LIBRARY, {"lib.py": "answer = 43\n"})
    commit(clone.path, {}, "use it")

    (told,) = save(shop, clone)

    assert save(shop, clone) == (told,)
    branch, _, held = told.partition("kept on ")[2].partition(" in ")
    assert git(Path(held), "rev-parse", branch) == own
    git(Path(held), "fsck", "--connectivity-only", branch)


def test_a_repository_of_the_agents_own_is_saved_in_the_pipelines(shop: Shop) -> None:
    clone = shop.clone()
    inner = clone.path / "tools"
    inner.mkdir()
    git(inner, "init", "-q")
    made = commit(inner, {"tool.py": "tool\n"})
    commit(clone.path, {}, "add tools")

    (told,) = save(shop, clone)

    assert told.startswith("HEAD of tools is kept on egg/shop/salvage/")
    assert git(shop.scene.workspace.repository("shop"), "rev-parse", told.split()[-1]) == made


def test_nothing_an_agent_wrote_in_a_submodule_is_run(shop: Shop, tmp_path: Path) -> None:
    clone = shop.clone()
    booby_trap(clone.path / LIBRARY, tmp_path / "ran")
    (clone.path / LIBRARY / "lib.py").write_text("answer = 43\n")

    with pytest.raises(Conflict):
        shop.take(clone)
    save(shop, clone)
    shop.scene.workspace.salvage(
        "shop", role="coder", run_id=run_of(clone), clone=clone.path, branch="egg/shop/coder"
    )

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("break_in", [git_elsewhere, git_file, other_alternates, pipe_head, no_objects])
def test_a_submodule_that_cannot_be_read_keeps_nobody_back(
    shop: Shop, break_in: Callable[[Path], None]
) -> None:
    clone = shop.clone()
    break_in(clone.path / LIBRARY)

    save(shop, clone)


@pytest.mark.parametrize("is_staged", [0, 1])
def test_salvage_commits_no_link_that_nobody_can_follow(shop: Shop, is_staged: int) -> None:
    clone = shop.clone()
    commit(clone.path / LIBRARY, {"lib.py": "answer = 43\n"})
    (clone.path / "README").write_text("more\n")
    if is_staged:
        git(clone.path, "add", LIBRARY)

    shop.scene.workspace.salvage(
        "shop", role="coder", run_id=run_of(clone), clone=clone.path, branch="egg/shop/coder"
    )

    bare = shop.scene.workspace.repository("shop")
    assert git(bare, "rev-parse", f"egg/shop/coder:{LIBRARY}") == shop.first
    assert git(bare, "show", "egg/shop/coder:README") == "more"


def test_salvage_commits_a_submodule_moved_to_what_its_upstream_has(scene: Scene, tmp_path: Path) -> None:
    shop = Shop(scene, tmp_path)
    newer = commit(shop.library, {"lib.py": "answer = 43\n"})
    git(shop.source / LIBRARY, "fetch", "-q")
    shop.prepare()
    clone = shop.clone()
    git(clone.path / LIBRARY, "checkout", "-q", newer)

    shop.scene.workspace.salvage(
        "shop", role="coder", run_id=run_of(clone), clone=clone.path, branch="egg/shop/coder"
    )

    bare = shop.scene.workspace.repository("shop")
    assert git(bare, "rev-parse", f"egg/shop/coder:{LIBRARY}") == newer


def test_what_was_salvaged_of_a_submodule_is_not_published_by_that(shop: Shop) -> None:
    clone = shop.clone()
    own = commit(clone.path / LIBRARY, {"lib.py": "answer = 43\n"})
    commit(clone.path, {}, "use it")
    with pytest.raises(Conflict, match="nobody else has"):
        shop.take(clone)
    shop.scene.workspace.salvage(
        "shop", role="coder", run_id=run_of(clone), clone=clone.path, branch="egg/shop/coder"
    )
    save(shop, clone)

    again = shop.clone()

    assert git(again.path / LIBRARY, "rev-parse", "HEAD") == own
    with pytest.raises(Conflict, match="nobody else has"):
        shop.take(again)


def test_a_submodule_is_taken_once_somebody_has_published_its_commit(shop: Shop) -> None:
    clone = shop.clone()
    own = commit(clone.path / LIBRARY, {"lib.py": "answer = 43\n"})
    head = commit(clone.path, {}, "use it")
    save(shop, clone)
    git(shop.library, "fetch", "-q", str(clone.path / LIBRARY), f"{own}:refs/heads/topic")

    assert shop.take(clone) == head
