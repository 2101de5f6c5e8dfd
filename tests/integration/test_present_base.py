"""The present base of a repository, fetched into a pipeline's own by the means of who asks."""

from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks.workspace.git import Git
from egg_tasks.workspace.present_base import fetch
from egg_tasks.workspace.reach import Reach
from models.errors import Rejected
from models.schemas.git import Merged
from tests.integration.test_private_repositories import copied, home, knows_by_netrc, person, site
from tests.integration.test_workspace_submodules import LIBRARY, Shop
from tests.integration.workspace_scene import PIPELINE, Scene, commit, git
from tests.private_server import Site

__all__ = ["home", "site"]

WORK = f"egg/{PIPELINE}/work"
NOBODYS = Reach({}, ())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def files(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a directory, with when it was written."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_the_present_base_is_fetched_and_no_branch_moves(scene: Scene) -> None:
    mended = commit(scene.source, {"shop.py": "mended\n"})

    found = scene.workspace.fetch_base(PIPELINE, source=str(scene.source), base="main")

    assert found == mended
    assert git(scene.bare, "rev-parse", f"refs/egg/base/{mended}") == mended
    assert (scene.tip(WORK), scene.tip("main")) == (scene.base, scene.base)


def test_it_is_merged_as_a_version_is(scene: Scene) -> None:
    commit(scene.source, {"new.py": "new\n"})
    base = scene.workspace.fetch_base(PIPELINE, source=str(scene.source), base=None)

    merged = scene.workspace.merge(PIPELINE, work=scene.base, version=base, message="the base")

    assert isinstance(merged, Merged)
    assert "new.py" in git(scene.bare, "ls-tree", "--name-only", merged.commit)


def test_fetching_again_gives_the_same(scene: Scene) -> None:
    found = {scene.workspace.fetch_base(PIPELINE, source=str(scene.source), base="main") for _ in range(2)}

    assert found == {scene.base}


def test_the_persons_repository_is_only_read(scene: Scene) -> None:
    commit(scene.source, {"shop.py": "mended\n"})
    before = files(scene.source)

    scene.workspace.fetch_base(PIPELINE, source=str(scene.source), base="main")

    assert files(scene.source) == before


@pytest.mark.parametrize(("source", "base"), [(None, "gone"), ("/nowhere", "main")])
def test_a_base_that_is_not_to_be_had_is_refused(scene: Scene, source: str | None, base: str) -> None:
    with pytest.raises(Rejected):
        scene.workspace.fetch_base(PIPELINE, source=source or str(scene.source), base=base)


def test_a_submodule_that_moved_comes_along(scene: Scene, tmp_path: Path) -> None:
    shop = Shop(scene, tmp_path)
    shop.prepare()
    second = commit(shop.library, {"lib.py": "answer = 43\n"})
    git(shop.source / LIBRARY, "pull", "-q", "origin", "main")
    commit(shop.source, {}, "a newer library")

    base = scene.workspace.fetch_base("shop", source=str(shop.source), base="HEAD")

    clone = scene.workspace.open_clone("shop", role="coder", run_id=uuid4(), work_commit=base)
    assert (clone.missing, git(clone.path / LIBRARY, "rev-parse", "HEAD")) == ((), second)


def test_behind_a_password_it_comes_by_the_persons_own_means(site: Site, home: Path, tmp_path: Path) -> None:
    knows_by_netrc(home, site)
    copied(tmp_path / "stack", site.url("shop.git"), person(home))
    mended = commit(tmp_path / "shop", {"README": "mended\n"})
    git(site.directory / "shop.git", "fetch", "-q")
    git(site.directory / "shop.git", "update-server-info")

    held = Git(tmp_path / "stack/repos/ours.git")
    found = fetch(held, source=site.url("shop.git"), base="main", reach=person(home))

    assert found == mended
    assert git(held.directory, "cat-file", "-t", mended) == "commit"
