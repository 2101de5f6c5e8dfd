"""Whose a repository is: a pipeline never takes over what another of its name has left."""

import subprocess
from functools import partial
from pathlib import Path

import pytest

from egg_tasks import adapters
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import deletions
from egg_tasks.services.people import pipelines
from egg_tasks.tasks import pipelines as pipeline_tasks
from egg_tasks.use_cases import clearing, collecting, preparing
from egg_tasks.workspace.atomic_directory import locked
from models.errors import Conflict
from tests.integration import test_gaps
from tests.integration.api_scene import GIT
from tests.integration.gaps import dies, lives
from tests.integration.test_gaps import Ground

ground = test_gaps.ground


def commit_of(repository: Path, name: str) -> str:
    """What a name stands for in a repository."""
    argv = [*GIT, "rev-parse", "--verify", name]
    return subprocess.run(argv, cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


def other_source(home: Path) -> Path:
    """A repository of somebody else's."""
    source = home / "theirs"
    subprocess.run([*GIT, "init", "-q", "-b", "main", str(source)], check=True)
    subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", "theirs"], cwd=source, check=True)
    return source


def test_what_came_in_with_a_pipelines_creation_is_its_own(ground: Ground) -> None:
    ground.begin("shop")
    adapters.workspace().prepare("shop", source=str(ground.scene.home / "source"), base=None)

    pipeline_tasks.prepare("shop")

    repositories = ground.scene.home / "repos"
    assert [path.name for path in repositories.glob("*.git")] == ["shop.git"]
    assert (repositories / "shop.git/egg-owner").read_text().startswith("shop 2")


def test_a_new_pipeline_does_not_take_over_what_lies_under_its_name(ground: Ground) -> None:
    home, theirs = ground.scene.home, other_source(ground.scene.home)
    adapters.workspace().prepare(
        "shop", source=str(theirs), base=None, owner="shop 2026-01-01T00:00:00+00:00"
    )

    ground.begin("shop")
    pipeline_tasks.prepare("shop")
    pipeline_tasks.prepare("shop")

    base = ground.pipeline("shop").base_commit
    assert base == commit_of(home / "source", "HEAD") == commit_of(home / "repos/shop.git", "egg/shop/work")
    (aside,) = (home / "repos").glob("shop-left-*.git")
    assert commit_of(aside, "egg/shop/work") == commit_of(theirs, "HEAD"), "no branch is removed"
    listed = {one.name: one.has_pipeline for one in collecting.look().repositories}
    assert listed == {"shop": True, aside.name.removesuffix(".git"): False}
    collecting.remove_repository(aside.name.removesuffix(".git"))
    assert not aside.exists()


def test_a_preparation_that_dies_takes_up_its_own_repository(ground: Ground) -> None:
    ground.begin("shop")
    numbers = range(1, 40, 4)
    died = [dies(partial(pipeline_tasks.prepare, "shop"), at=at) for at in numbers]

    lives(partial(pipeline_tasks.prepare, "shop"))

    assert any(died)
    assert [path.name for path in (ground.scene.home / "repos").glob("*.git")] == ["shop.git"]
    assert ground.pipeline("shop").work_commit


def test_a_preparation_that_was_held_up_leaves_the_next_of_its_name_alone(ground: Ground) -> None:
    """Its pipeline was deleted meanwhile, and another has the name."""
    ground.begin("shop")
    held_up = ground.pipeline("shop")
    with unit_of_work() as session:
        pipelines.cancel(session, pipeline_id="shop", now=utcnow())
        deletions.order(session, pipeline_id="shop", now=utcnow())
    clearing.delete_pipeline("shop")
    ground.begin("shop")
    assert ground.pipeline("shop").created_at != held_up.created_at

    assert preparing._make_repository(held_up), "nobody has made the new one's yet"
    pipeline_tasks.prepare("shop")
    assert preparing._make_repository(held_up) is None

    repository = ground.scene.home / "repos/shop.git"
    assert preparing._owner(ground.pipeline("shop")) == (repository / "egg-owner").read_text()
    assert len(list(repository.parent.glob("shop-left-*.git"))) == 1


def test_what_is_being_made_is_waited_for(ground: Ground) -> None:
    repository = ground.scene.home / "repos/shop.git"
    repository.mkdir(parents=True)

    with locked(repository.with_name("shop.git.lock")), pytest.raises(Conflict, match="is held"):
        adapters.workspace().put_strange_aside("shop", owner="mine")

    assert repository.exists()
