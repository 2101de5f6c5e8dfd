"""Work branches follow their rows, whoever publishes, and in whatever order."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from egg_tasks import adapters, reconciler
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import publications
from egg_tasks.use_cases import publishing
from egg_tasks.workspace import GitWorkspace
from models.queries import pipelines as rows
from models.tables import Event
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
        monkeypatch.setattr(publishing, "workspace", adapters.workspace)
        later.append(merged(shop))
        publishing.publish(NAME)

    overtaken = Overtaken(settings().home, overtake)
    monkeypatch.setattr(publishing, "workspace", lambda: overtaken)
    with capture_logs() as logs:
        publishing.publish(NAME)

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
        publishing.publish(NAME)

    assert [line["event"] for line in logs] == ["branch.diverged"]
    assert published() == (ours, theirs)


def block(scene: Scene) -> Path:
    """Have a branch be where the work branch would be a directory's name, so that git cannot move it."""
    repository = scene.home / "repos" / f"{NAME}.git"
    (repository / "refs/heads" / WORK).unlink(missing_ok=True)
    (repository / "packed-refs").unlink(missing_ok=True)
    blocking = repository / "refs/heads" / WORK / "in-the-way"
    blocking.parent.mkdir()
    with unit_of_work() as session:
        blocking.write_text(f"{rows.get_pipeline(session, pipeline_id=NAME).base_commit}\n")
    return blocking


def due(after: timedelta = timedelta(days=1)) -> int:
    """How many branches the reconciler would have moved some time later; they are put off by that."""
    with unit_of_work() as session:
        found = rows.claim_unpublished_pipelines(
            session, now=utcnow() + after, limit=10, most_tries=publications.BOUND.most
        )
        return len(found)


def test_a_branch_that_cannot_be_moved_is_tried_ever_more_rarely_and_at_last_told(shop: Scene) -> None:
    block(shop)
    merged(shop)
    waits = []
    for _ in range(publications.BOUND.most):
        assert due() == 1
        publishing.publish(NAME)
        with unit_of_work() as session:
            row = rows.get_pipeline(session, pipeline_id=NAME)
            assert row.send_after is not None
            waits.append(round((row.send_after - utcnow()).total_seconds()))

    assert due() == 0
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    why = shop.ask("GET", f"/pipelines/{NAME}/why").data["why"]
    assert f"the branch {WORK} cannot be moved" in why
    held_up = shop.ask("GET", "/overview").data["held_up"]
    assert [one["pipeline"] for one in held_up] == [NAME]
    with unit_of_work() as session:
        told = session.scalars(select(Event.text).where(Event.type == "branch.held_up")).all()
    assert len(told) == 1
    assert "at the next `egg up`" in told[0]


def test_a_start_of_the_stack_tries_again_what_was_given_up(shop: Scene) -> None:
    blocking = block(shop)
    commit = merged(shop)
    for _ in range(publications.BOUND.most):
        publishing.publish(NAME)
    blocking.unlink()
    blocking.parent.rmdir()

    reconciler.try_held_up_again()

    assert due() == 1
    publishing.publish(NAME)
    assert published() == (commit, commit)
    assert "cannot be moved" not in shop.ask("GET", f"/pipelines/{NAME}/why").data["why"]
    assert shop.ask("GET", "/overview").data["held_up"] == []


def test_the_next_merge_moves_a_branch_that_was_given_up(shop: Scene) -> None:
    blocking = block(shop)
    merged(shop)
    for _ in range(publications.BOUND.most):
        publishing.publish(NAME)
    blocking.unlink()
    blocking.parent.rmdir()

    commit = merged(shop)
    publishing.publish(NAME)

    assert published() == (commit, commit)
