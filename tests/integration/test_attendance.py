"""An attendance that is overtaken by a halt starts nothing; one that ends leaves no work behind."""

import subprocess
import threading
from pathlib import Path
from uuid import UUID

import pytest

from egg_tasks import outbox, run_places
from egg_tasks.attending.attendance import Attendance, Left
from egg_tasks.attending.leases import Leases
from egg_tasks.backends.command import CommandBackend
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.services.agents import halts
from egg_tasks.services.engine import readiness_signals
from egg_tasks.services.people import pipelines
from egg_tasks.use_cases import clearing
from egg_tasks.workspace import GitWorkspace
from models.errors import Leftovers
from models.queries import agent_runs
from models.schemas.git import Clone
from models.states import RunStatus
from models.tables import AgentRun
from tests.fakes import runs_in
from tests.integration.api_scene import GIT, NAME, Scene


class OvertakenWorkspace(GitWorkspace):
    """A workspace where a person stops all while a clone is being made."""

    def open_clone(self, pipeline_id: str, *, role: str, run_id: UUID, work_commit: str) -> Clone:
        """Make the clone, and have all stopped meanwhile."""
        with unit_of_work() as session:
            halts.order(session, why="", stops_running=False, now=utcnow())
        return super().open_clone(pipeline_id, role=role, run_id=run_id, work_commit=work_commit)


class RefusedWorkspace(GitWorkspace):
    """A workspace whose agents leave something behind that their READY was refused for."""

    def open_clone(self, pipeline_id: str, *, role: str, run_id: UUID, work_commit: str) -> Clone:
        """Make the clone, and have its agent try READY without committing."""
        clone = super().open_clone(pipeline_id, role=role, run_id=run_id, work_commit=work_commit)
        (clone.path / "left").write_text("left")
        with pytest.raises(Leftovers):
            self.take(pipeline_id, run_id=run_id, clone=clone.path)
        with unit_of_work() as session:
            readiness_signals.note_refused(session, run_id=run_id, now=utcnow())
        return clone


class WanderingWorkspace(GitWorkspace):
    """A workspace whose agents go on working in a worktree beside their clone, or move that."""

    def open_clone(self, pipeline_id: str, *, role: str, run_id: UUID, work_commit: str) -> Clone:
        """Make the clone and a worktree of it, with something in it that is not committed."""
        clone = super().open_clone(pipeline_id, role=role, run_id=run_id, work_commit=work_commit)
        subprocess.run(
            [*GIT, "worktree", "add", "-q", "../side\udcff", "-b", "side"], cwd=clone.path, check=True
        )
        (clone.path.parent / "side\udcff/precious").write_text("unsaved")
        return clone


class RoamingWorkspace(GitWorkspace):
    """A workspace whose agents go on working in a worktree somewhere."""

    def __init__(self, home: Path, place: Path) -> None:
        super().__init__(home)
        self.place = place

    def open_clone(self, pipeline_id: str, *, role: str, run_id: UUID, work_commit: str) -> Clone:
        """Make the clone and a worktree of it, with something in it that is not committed."""
        clone = super().open_clone(pipeline_id, role=role, run_id=run_id, work_commit=work_commit)
        add = ["worktree", "add", "-q", str(self.place), "-b", "side"]
        subprocess.run([*GIT, *add], cwd=clone.path, check=True)
        (self.place / "precious").write_text("unsaved")
        return clone


class MovingWorkspace(GitWorkspace):
    """A workspace whose agents move their clone."""

    def open_clone(self, pipeline_id: str, *, role: str, run_id: UUID, work_commit: str) -> Clone:
        """Make the clone, with something in it that is not committed, and move it."""
        clone = super().open_clone(pipeline_id, role=role, run_id=run_id, work_commit=work_commit)
        (clone.path / "precious").write_text("unsaved")
        clone.path.rename(clone.path.with_name("mine"))
        return clone


@pytest.fixture
def queued(scene: Scene) -> UUID:
    """A run that waits for a worker."""
    scene.create()
    home = scene.home
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=NAME, now=utcnow())
    commit = GitWorkspace(home).prepare(NAME, source=str(home / "source"), base="HEAD")
    with unit_of_work() as session:
        pipelines.prepared(session, pipeline_id=NAME, base_commit=commit, now=utcnow())
        return runs_in(outbox.of(session).parcels)[0].run_id


def attend(run_id: UUID, home: Path, workspace: GitWorkspace) -> Left:
    runner = ProcessRunner(home / "runs")
    found = Attendance(
        run_id,
        owner=f"{settings().node}/1/1/x",
        settings=settings(),
        runner=runner,
        backend=CommandBackend(),
        workspace=workspace,
        draining=threading.Event(),
        leases=Leases(),
    ).attend()
    assert runner.has_started(run_id) == (found is Left.FINISHED)
    return found


def row(run_id: UUID) -> AgentRun:
    with unit_of_work() as session:
        return agent_runs.get_agent_run(session, run_id=run_id)


def test_a_halt_that_overtakes_a_launch_starts_nothing(queued: UUID, scene: Scene) -> None:
    assert attend(queued, scene.home, OvertakenWorkspace(scene.home)) is Left.PARKED

    assert (row(queued).status, row(queued).lease_owner) == (RunStatus.STARTING, None)


def test_a_run_that_was_overtaken_is_sent_and_started_after_the_lift(queued: UUID, scene: Scene) -> None:
    attend(queued, scene.home, OvertakenWorkspace(scene.home))
    with unit_of_work() as session:
        halts.lift(session, now=utcnow())
        sent = runs_in(outbox.of(session).parcels)

    assert queued in {run.run_id for run in sent}
    assert attend(queued, scene.home, GitWorkspace(scene.home)) is Left.FINISHED


def test_what_ready_was_refused_for_is_set_aside_when_the_run_is_over(queued: UUID, scene: Scene) -> None:
    workspace = RefusedWorkspace(scene.home)

    assert attend(queued, scene.home, workspace) is Left.FINISHED

    run = row(queued)
    aside = f"egg/{NAME}/salvage/{queued}"
    assert (run.set_aside, run.salvaged_commit, run.kept_paths) == (aside, None, [])
    assert workspace.find_branch(NAME, branch=aside)
    assert workspace.find_branch(NAME, branch=f"egg/{NAME}/{run.role}") == run.start_commit


def test_a_worktree_beside_a_clone_is_kept_with_what_is_in_it(queued: UUID, scene: Scene) -> None:
    attend(queued, scene.home, WanderingWorkspace(scene.home))
    clearing.clear_run(queued)

    run, given = row(queued), scene.home / "runs" / str(queued)
    assert run.kept_paths == ["what is not committed in side\\xff, beside its clone"]
    assert (run.clone_kept_at is not None, run.clone_removed_at) == (True, None)
    assert (given / "side\udcff/precious").read_text() == "unsaved"
    assert (given / "kept/.git").is_dir()


@pytest.mark.parametrize("where", ["deep/er/side", "tmp"])
def test_a_worktree_anywhere_in_what_goes_with_the_run_is_kept(
    queued: UUID, scene: Scene, where: str
) -> None:
    """Its TMPDIR goes as soon as it has ended, unless a worktree of its clone is there."""
    given = scene.home / "runs" / str(queued)
    place = run_places.room(given) / "tmp/in/side" if where == "tmp" else given / where
    attend(queued, scene.home, RoamingWorkspace(scene.home, place))
    clearing.clear_run(queued)

    run = row(queued)
    shown = f"its worktree {place}" if where == "tmp" else f"{where}, beside its clone"
    assert run.kept_paths == [f"what is not committed in {shown}"]
    assert (run.clone_kept_at is not None, run.clone_removed_at) == (True, None)
    left = given / "kept.tmp/tmp/in/side" if where == "tmp" else given / where
    assert (left / "precious").read_text() == "unsaved"
    assert (given / "kept/.git").is_dir()
    assert not run_places.room(given).exists()


def test_a_clone_that_was_moved_is_kept_where_it_is(queued: UUID, scene: Scene) -> None:
    attend(queued, scene.home, MovingWorkspace(scene.home))
    clearing.clear_run(queued)

    run, given = row(queued), scene.home / "runs" / str(queued)
    assert "what is not committed in mine, beside its clone" in str(run.kept_paths)
    assert (run.clone_kept_at is not None, run.clone_removed_at) == (True, None)
    assert (given / "mine/precious").read_text() == "unsaved"
