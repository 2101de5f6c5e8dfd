"""Runs that another release of egg has started: the one before is attended, a newer one is left alone."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from egg_tasks import outbox
from egg_tasks.attending.attendance import Attendance, Left
from egg_tasks.attending.leases import Leases
from egg_tasks.backends.command import CommandBackend
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.runners.run_directory import LAYOUT
from egg_tasks.services.people import operator_actions, pipelines
from egg_tasks.workspace import GitWorkspace
from models.errors import Unavailable
from models.queries import agent_runs
from models.schemas.run import Launch
from models.states import Failure, RunStatus
from models.tables import AgentRun
from tests.fakes import runs_in
from tests.integration.api_scene import NAME, Scene

SHIMS = [Path(__file__).parents[1] / f"data/shim_layout_{number}.py" for number in (0, 1)]
AT_WORK = """

trap 'echo saved > saved.txt; exit 0' TERM
echo at work > work.txt
while true; do sleep 0.1; done
"""
DONE = "while [ ! -e ../go ]; do sleep 0.1; done; sleep 600 & echo half > work.txt; exit 3"


class ReleaseBefore(ProcessRunner):
    """Starts runs as the releases did that gave all of a run to its agent."""

    def __init__(self, root: Path, *, layout: int) -> None:
        super().__init__(root)
        self.number = layout

    def ensure(self, launch: Launch) -> None:
        """Lay the run out and start that release's shim."""
        directory = self.directory(launch.run_id)
        for folder in (directory, directory / "home", directory / "tmp"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = {"HOME": str(directory / "home"), "TMPDIR": str(directory / "tmp")}
        spec = {
            "argv": launch.argv,
            "environment": own | launch.environment,
            "directory": str(launch.directory),
            "prompt_file": str(directory / "prompt.md"),
            **({"layout": self.number} if self.number else {}),
        }
        (directory / "prompt.md").write_text(launch.prompt)
        (directory / "token").write_text(launch.token or "")
        (directory / "spec.json").write_text(json.dumps(spec))
        shim = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SHIMS[self.number]), str(directory)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        # It goes on without us.
        shim.returncode = 0
        until((directory / "started").exists)


@pytest.fixture
def started(request: pytest.FixtureRequest, scene: Scene) -> Iterator[UUID]:
    """A run of the coder that a release has started, as its layout says; its worker is gone."""
    script, layout = request.param
    home = scene.home
    program = {"backend": "command", "command": ["sh", "-c", script]}
    scene.create(agents={"coder": program}, phases=[{"name": "implement", "roles": [{"role": "coder"}]}])
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=NAME, now=utcnow())
    commit = GitWorkspace(home).prepare(NAME, source=str(home / "source"), base="HEAD")
    with unit_of_work() as session:
        pipelines.prepared(session, pipeline_id=NAME, base_commit=commit, now=utcnow())
        run_id = runs_in(outbox.of(session).parcels)[0].run_id
    runner = ProcessRunner(home / "runs")
    before = runner if layout == LAYOUT else ReleaseBefore(home / "runs", layout=layout)
    assert attend(run_id, home, before, is_leaving=True) is Left.DRAINED
    yield run_id
    if runner.is_newer(run_id):
        shutil.copy(home / "spec.json", runner.own(run_id))
    runner.kill(run_id)


def attend(run_id: UUID, home: Path, runner: ProcessRunner, *, is_leaving: bool = False) -> Left:
    """Attend a run to its end, or leave it as soon as it runs."""
    draining = threading.Event()
    if is_leaving:
        draining.set()
    return Attendance(
        run_id,
        owner=f"{settings().node}/1/1/x",
        settings=settings(),
        runner=runner,
        backend=CommandBackend(),
        workspace=GitWorkspace(home),
        draining=draining,
        leases=Leases(),
    ).attend()


def row(run_id: UUID) -> AgentRun:
    """The run as it is."""
    with unit_of_work() as session:
        return agent_runs.get_agent_run(session, run_id=run_id)


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def saved(scene: Scene, name: str) -> str:
    """What the role's branch holds of a file."""
    repository = GitWorkspace(scene.home).repository(NAME)
    command = ["git", "--git-dir", str(repository), "show", f"egg/{NAME}/coder:{name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("started", [(AT_WORK, 0), (AT_WORK, 1)], indirect=True)
def test_a_run_of_the_release_before_is_adopted_told_stopped_and_its_work_saved(
    started: UUID, scene: Scene
) -> None:
    runner = ProcessRunner(scene.home / "runs")
    clone = runner.directory(started) / "clone"
    left: list[Left] = []
    watching = threading.Thread(target=lambda: left.append(attend(started, scene.home, runner)))
    watching.start()
    until((clone / "work.txt").exists)

    runner.tell(started, "CONVERGE\nsoon\nwhy\n")
    assert (clone.parent / "signal").read_text() == "CONVERGE\nsoon\nwhy\n"
    assert row(started).status is RunStatus.RUNNING
    with unit_of_work() as session:
        operator_actions.stop(session, pipeline_id=NAME, run_id=started, now=utcnow())
    watching.join(60)

    assert left == [Left.FINISHED]
    ended = row(started)
    assert (ended.status, ended.failure, ended.exit_code) == (RunStatus.FAILED, Failure.STOPPED, 0)
    assert [saved(scene, f"{name}.txt") for name in ("work", "saved")] == ["at work\n", "saved\n"]


@pytest.mark.parametrize("started", [(DONE, 0), (DONE, 1)], indirect=True)
def test_a_run_of_the_release_before_that_has_ended_says_how_and_its_work_is_saved(
    started: UUID, scene: Scene
) -> None:
    directory = scene.home / "runs" / str(started)
    (directory / "go").touch()
    until((directory / "outcome.json").exists)

    assert attend(started, scene.home, ProcessRunner(scene.home / "runs")) is Left.FINISHED

    assert (row(started).failure, row(started).exit_code) == (Failure.PROCESS_FAILURE, 3)
    assert saved(scene, "work.txt") == "half\n"


@pytest.mark.parametrize("started", [(AT_WORK, 0), (AT_WORK, 1)], indirect=True)
def test_what_a_killed_shim_of_the_release_before_left_is_ended_and_its_work_saved(
    started: UUID, scene: Scene
) -> None:
    directory = scene.home / "runs" / str(started)
    until((directory / "clone/work.txt").exists)
    agent = int((directory / "agent.pid").read_text().split()[0])
    os.kill(int((directory / "shim.lock").read_text().split()[0]), 9)

    assert attend(started, scene.home, ProcessRunner(scene.home / "runs")) is Left.FINISHED

    assert row(started).failure is Failure.LOST
    assert not Path(f"/proc/{agent}/cmdline").exists() or not Path(f"/proc/{agent}/cmdline").read_bytes()
    assert saved(scene, "work.txt") == "at work\n"


@pytest.mark.parametrize("started", [(AT_WORK, LAYOUT)], indirect=True)
def test_a_run_of_a_newer_release_is_left_alone(started: UUID, scene: Scene) -> None:
    runner = ProcessRunner(scene.home / "runs")
    directory, own = runner.directory(started), runner.own(started)
    until((directory / "clone/work.txt").exists)
    shutil.copy(own / "spec.json", scene.home)
    (own / "spec.json").write_text(json.dumps({"layout": 99}))

    assert attend(started, scene.home, runner) is Left.UNFINISHED

    for act in (runner.stop, runner.kill, runner.has_started):
        with pytest.raises(Unavailable, match="was started by a newer egg and is left alone"):
            act(started)
    assert (list(runner.list_newer()), list(runner.list_live())) == ([started], [])
    assert row(started).status is RunStatus.RUNNING
    agent = int((own / "agent.pid").read_text().split()[0])
    assert Path(f"/proc/{agent}/cmdline").read_bytes()
    assert not (directory / "clone/saved.txt").exists()
    assert not (own / "stop").exists()


@pytest.mark.parametrize("spec", ["", "[]", "{", '{"layout": "x"}', "[" * 100_000, '{"layout": 0.5}'])
def test_a_spec_that_is_none_keeps_nobody_from_a_run(tmp_path: Path, spec: str) -> None:
    runner = ProcessRunner(tmp_path / "runs")
    run_id = uuid4()
    runner.own(run_id).mkdir(parents=True)
    (runner.own(run_id) / "spec.json").write_text(spec)

    assert not runner.has_started(run_id)
