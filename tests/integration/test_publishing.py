"""Work branches follow their rows, whoever publishes, and in whatever order."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from egg_tasks import adapters
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.tasks import pipelines
from egg_tasks.workspace import GitWorkspace
from models.queries import pipelines as rows
from tests.integration.api_scene import GIT, NAME, Scene

WORK = f"egg/{NAME}/work"


class Overtaken(GitWorkspace):
    """Lets somebody else be quicker, once, before it says where a branch is."""

    def __init__(self, home: Path, before: Callable[[], object]) -> None:
        super().__init__(home)
        self._before: Callable[[], object] | None = before

    def find_branch(self, pipeline_id: str, *, branch: str) -> str | None:
        """Say where a branch is, after the other one."""
        before, self._before = self._before, None
        if before:
            before()
        return super().find_branch(pipeline_id, branch=branch)


def merged(scene: Scene) -> str:
    """Make a commit on top of the work branch and write it into the row; the commit."""
    with unit_of_work() as session:
        pipeline = rows.lock_pipeline(session, pipeline_id=NAME)
        repository = scene.home / "repos" / f"{NAME}.git"
        command = (
            "commit-tree",
            f"{pipeline.work_commit}^{{tree}}",
            "-p",
            str(pipeline.work_commit),
            "-m",
            "x",
        )
        made = subprocess.run([*GIT, *command], cwd=repository, check=True, capture_output=True, text=True)
        pipeline.work_commit = made.stdout.strip()
        return pipeline.work_commit


def published() -> tuple[str | None, str | None]:
    """The commit the row says is published, and where the branch is."""
    with unit_of_work() as session:
        row = rows.get_pipeline(session, pipeline_id=NAME)
    return row.published_commit, adapters.workspace().find_branch(NAME, branch=WORK)


def test_two_publishers_that_cross_leave_the_later_merge_and_warn_of_nothing(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged(shop)
    later: list[str] = []

    def overtake() -> None:
        monkeypatch.setattr(pipelines, "workspace", adapters.workspace)
        later.append(merged(shop))
        pipelines.publish_work_branch(NAME)

    overtaken = Overtaken(settings().home, overtake)
    monkeypatch.setattr(pipelines, "workspace", lambda: overtaken)
    with capture_logs() as logs:
        pipelines.publish_work_branch(NAME)

    assert logs == []
    assert published() == (later[0], later[0])


def test_a_branch_that_somebody_else_moved_is_left_alone_and_told(shop: Scene) -> None:
    ours = merged(shop)
    repository = shop.home / "repos" / f"{NAME}.git"
    made = subprocess.run(
        [*GIT, "commit-tree", f"{ours}^{{tree}}", "-m", "theirs"],
        cwd=repository, check=True, capture_output=True, text=True,
    )  # fmt: skip
    theirs = made.stdout.strip()
    subprocess.run(["git", "update-ref", f"refs/heads/{WORK}", theirs], cwd=repository, check=True)

    with capture_logs() as logs:
        pipelines.publish_work_branch(NAME)

    assert [line["event"] for line in logs] == ["branch.diverged"]
    assert published() == (ours, theirs)
