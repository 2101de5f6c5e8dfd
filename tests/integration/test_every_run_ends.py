"""Whatever an attendance meets where an agent may write, its run is closed after a few tries."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from egg_tasks import database, outbox
from egg_tasks.attending.attendance import Attendance, Left
from egg_tasks.attending.leases import Leases
from egg_tasks.backends.command import CommandBackend
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.services.agents import tries
from egg_tasks.services.people import pipelines
from egg_tasks.use_cases.faults import is_nobodys
from egg_tasks.workspace import GitWorkspace
from models.errors import DatabaseAway, Unavailable
from models.queries import agent_runs, phase_runs
from models.schemas.run import Exit
from models.states import Failure, RunStatus
from models.tables import AgentRun
from tests.fakes import runs_in
from tests.integration.api_scene import NAME, Scene

OWNER = "node/1/1/x"
BEGINNING = """
import os, shutil, subprocess, time
run, git = os.path.dirname(os.environ["EGG_SIGNAL_FILE"]), ".git"
open("work.txt", "w").write("work")
def bury(path, text=None):
    shutil.rmtree(path) if os.path.isdir(path) else os.path.lexists(path) and os.unlink(path)
    os.mkdir(path) if text is None else open(path, "w").write(text)
"""
TRAPS = {
    "its outcome is a directory": "bury(run + '/outcome.json')",
    "its outcome leads in a circle": "os.symlink('outcome.json', run + '/outcome.json')",
    "its output is a directory": "bury(run + '/output.log')",
    "its specification has no end": "bury(run + '/spec.json', '[' * 100000)",
    "its clone is a file": "os.chdir('/'); bury(run + '/clone', '')",
    "its repository leads in a circle": "shutil.rmtree(git); os.symlink('.git', git)",
    "its head is a directory": "bury(git + '/HEAD')",
    "its index is a directory": "bury(git + '/index')",
    "its objects are a file": "bury(git + '/objects', '')",
    "its attributes are a directory": "bury('.gitattributes'); open('.gitattributes/x', 'w')",
}
ERRORS = {
    "git that takes too long": Unavailable("git took longer than 120 s"),
    "a directory": IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)),
    "a disk that is said to be full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "no end of brackets": RecursionError("maximum recursion depth exceeded"),
    "more than there is memory": MemoryError(),
    "what no database stores": ValueError("nul \x00, surrogate \udcff, bell \x07" + "x" * 10_000),
}


class UnreadableWorkspace(GitWorkspace):
    """A workspace that cannot keep what a role left, by whatever error."""

    def __init__(self, home: Path, error: Exception) -> None:
        super().__init__(home)
        self.error = error

    def salvage(self, *_: object, **__: object) -> None:
        """Meet what an agent left."""
        raise self.error


class DeadlyWorkspace(GitWorkspace):
    """A workspace whose keeping of what a role left ends the process that does it."""

    def salvage(self, *_: object, **__: object) -> None:
        """Die of what an agent left."""
        os.kill(os.getpid(), signal.SIGKILL)


class BlockingWorkspace(GitWorkspace):
    """A workspace in which looking at a clone takes as long as the test likes."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.is_looking, self.is_free = threading.Event(), threading.Event()

    def last_moved_at(self, clone: Path) -> datetime | None:
        """Look, and come back late."""
        self.is_looking.set()
        self.is_free.wait(60)
        return super().last_moved_at(clone)


class UnreadableRunner(ProcessRunner):
    """A runner to which it is not known how a run fares."""

    def wait(self, run_id: UUID, *, timeout: timedelta) -> Exit | None:
        """Find nothing out."""
        raise IsADirectoryError(errno.EISDIR, f"the outcome of {run_id}, even after {timeout}")


class UnstoppableRunner(UnreadableRunner):
    """One whose processes do not end either."""

    def kill(self, run_id: UUID) -> None:
        """Do nothing to it."""


@pytest.fixture
def home(scene: Scene) -> Iterator[Path]:
    """The home of a scene, where no agent is left behind."""
    yield scene.home
    runner = ProcessRunner(scene.home / "runs")
    for run_id in runner.list_live():
        runner.kill(run_id)


def queue(scene: Scene, script: str) -> UUID:
    """A run of an agent that is this script, waiting for a worker."""
    program = {"backend": "command", "command": [sys.executable, "-c", BEGINNING + script]}
    scene.create(agents={"coder": program}, phases=[{"name": "implement", "roles": [{"role": "coder"}]}])
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=NAME, now=utcnow())
    commit = GitWorkspace(scene.home).prepare(NAME, source=str(scene.home / "source"), base="HEAD")
    with unit_of_work() as session:
        pipelines.prepared(session, pipeline_id=NAME, base_commit=commit, now=utcnow())
        return runs_in(outbox.of(session).parcels)[0].run_id


def attend(
    run_id: UUID,
    home: Path,
    workspace: GitWorkspace | None = None,
    *,
    runner: ProcessRunner | None = None,
    seconds: float | None = None,
    draining: threading.Event | None = None,
) -> Left:
    """Attend the run once, as a worker does; one that is asked to go after so many *seconds*."""
    draining = draining or threading.Event()
    if seconds is not None:
        threading.Timer(seconds, draining.set).start()
    return Attendance(
        run_id,
        owner=OWNER,
        settings=settings(),
        runner=runner or ProcessRunner(home / "runs"),
        backend=CommandBackend(),
        workspace=workspace or GitWorkspace(home),
        draining=draining,
        leases=Leases(),
    ).attend()


def attend_to_the_end(run_id: UUID, home: Path, workspace: GitWorkspace | None = None) -> Sequence[Left]:
    """Attend the run as often as it takes, at most twice as often as it may."""
    lefts: list[Left] = []
    while row(run_id).closed_at is None and len(lefts) < 2 * tries.MOST:
        lefts.append(attend(run_id, home, workspace))
    return lefts


def row(run_id: UUID) -> AgentRun:
    """The run as it is."""
    with unit_of_work() as session:
        return agent_runs.get_agent_run(session, run_id=run_id)


def try_often(run_id: UUID, tried: int, *, owner: str | None = None, until: datetime | None = None) -> None:
    """Write that a run was tried so often, and who attends it until when."""
    with unit_of_work() as session:
        run = agent_runs.lock_agent_run(session, run_id=run_id)
        run.tries, run.lease_owner, run.lease_until = tried, owner, until


def is_killed(act: Callable[[], object]) -> bool:
    """Run *act* in a process of its own; whether it was killed."""
    child = os.fork()
    if child == 0:
        database.engine().dispose(close=False)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("trap", TRAPS)
def test_a_run_whose_agent_lays_a_trap_is_closed(scene: Scene, home: Path, trap: str) -> None:
    run_id = queue(scene, TRAPS[trap])

    attend_to_the_end(run_id, home)

    assert row(run_id).closed_at is not None
    assert run_id not in ProcessRunner(home / "runs").list_live()


@pytest.mark.parametrize("kind", ERRORS)
def test_whatever_is_met_the_run_is_lost_after_five_tries_and_its_clone_stays(
    scene: Scene, home: Path, kind: str
) -> None:
    run_id = queue(scene, "")
    workspace = UnreadableWorkspace(home, ERRORS[kind])

    lefts = attend_to_the_end(run_id, home, workspace)

    run, clone = row(run_id), home / "runs" / str(run_id) / "kept"
    assert lefts == [Left.UNFINISHED] * (tries.MOST - 1) + [Left.FINISHED]
    assert (run.status, run.failure) == (RunStatus.LOST, Failure.LOST)
    assert run.error.startswith("its end could not be read: ")
    assert run.error.endswith(f"; its clone is kept: {clone}")
    assert (clone / "work.txt").read_text() == "work"
    assert [words[:9] for words in run.kept_paths or ()] == ["all of it"]


def test_each_try_waits_twice_as_long_as_the_one_before(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "")
    workspace = UnreadableWorkspace(home, ERRORS["a directory"])
    waits = []

    for _ in range(tries.MOST - 1):
        before = utcnow()
        attend(run_id, home, workspace)
        waits.append(row(run_id).send_after - before)

    assert all(wait >= timedelta(seconds=2**n) for n, wait in enumerate(waits, start=1))


def test_a_run_that_was_cancelled_is_tried_less_often_and_waits_little(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "")
    workspace = UnreadableWorkspace(home, ERRORS["git that takes too long"])
    attend(run_id, home, workspace)
    with unit_of_work() as session:
        pipelines.cancel(session, pipeline_id=NAME, now=utcnow())

    attend(run_id, home, workspace)
    waits_until = row(run_id).send_after
    lefts = attend_to_the_end(run_id, home, workspace)

    assert waits_until <= utcnow() + tries.PAUSE_WHEN_OVER
    assert len(lefts) == tries.MOST_WHEN_OVER - 2
    assert (row(run_id).status, row(run_id).failure) == (RunStatus.CANCELLED, None)
    assert row(run_id).error.startswith("its end could not be read: ")


def test_the_phase_goes_on_after_a_run_that_was_given_up(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "")
    attend_to_the_end(run_id, home, UnreadableWorkspace(home, ERRORS["a directory"]))

    with unit_of_work() as session:
        due = phase_runs.list_due_phase_runs(session, now=utcnow(), limit=10)

    assert [phase_run.id for phase_run in due] == [row(run_id).phase_run_id]


def test_what_is_nobodys_fault_is_waited_out_however_often_it_comes(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "")
    workspace = UnreadableWorkspace(home, DatabaseAway("the database is away"))

    lefts = [attend(run_id, home, workspace) for _ in range(2 * tries.MOST)]

    assert set(lefts) == {Left.UNFINISHED}
    assert (row(run_id).tries, row(run_id).lease_owner) == (0, None)
    assert attend(run_id, home) is Left.FINISHED
    assert row(run_id).status is RunStatus.SUCCEEDED


def test_a_full_disk_is_nobodys_fault_where_there_is_one(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(tmp_path)], check=False
        ).returncode
    ):
        assert "CI" not in os.environ, "CI is root and mounts a tmpfs"
        pytest.skip("a small file system can be mounted by root only")
    try:
        assert is_nobodys(full, home=tmp_path)
        assert is_nobodys(Unavailable("git: error: unable to write file"), home=tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert not is_nobodys(full, home=tmp_path)


def test_who_dies_in_each_try_has_counted_it(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "")
    deaths = 0

    while row(run_id).closed_at is None and deaths < 3 * tries.MOST:
        with unit_of_work() as session:
            agent_runs.release_leases(session, owners=[OWNER], now=utcnow())
        deaths += is_killed(partial(attend, run_id, home, DeadlyWorkspace(home)))

    assert row(run_id).status is RunStatus.LOST
    assert row(run_id).error.startswith("its end could not be read: it ended the process that attended it")
    assert deaths <= tries.MOST + 2


def test_a_worker_that_watches_a_run_well_has_tries_counted_anew(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "time.sleep(600)")
    attend(run_id, home, seconds=1.5)

    for _ in range(2):
        try_often(run_id, tries.MOST - 1)
        assert attend(run_id, home, seconds=2.5) is Left.DRAINED

        assert row(run_id).tries == 0


def test_who_dies_while_the_process_of_a_run_lives_does_not_give_it_up(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "time.sleep(600)")
    attend(run_id, home, seconds=1.5)
    try_often(run_id, 2 * tries.MOST)

    assert attend(run_id, home, seconds=2.5) is Left.DRAINED

    assert (row(run_id).status, row(run_id).tries) == (RunStatus.RUNNING, 0)


def test_runs_of_workers_that_die_again_and_again_are_sent_one_by_one(scene: Scene) -> None:
    run_id, now = queue(scene, "time.sleep(600)"), utcnow()
    sent = []
    for tried in (1, 4, 4, 4):
        try_often(run_id, tried, owner=OWNER, until=now)

        with unit_of_work() as session:
            agent_runs.release_leases(session, owners=[OWNER], now=now)

        sent.append(row(run_id).send_after - now)

    assert sent[0] == timedelta(0)
    assert len(set(sent)) == len(sent)
    assert max(sent) <= timedelta(seconds=16)


def test_a_run_is_not_closed_while_its_process_lives(scene: Scene, home: Path) -> None:
    run_id = queue(scene, "time.sleep(600)")
    attend(run_id, home, seconds=1.5)
    try_often(run_id, tries.MOST - 1)

    assert attend(run_id, home, runner=UnstoppableRunner(home / "runs")) is Left.UNFINISHED
    assert row(run_id).closed_at is None

    assert attend(run_id, home, runner=UnreadableRunner(home / "runs")) is Left.FINISHED
    assert row(run_id).status is RunStatus.LOST
    assert ProcessRunner(home / "runs").list_live() == []


def test_a_look_that_does_not_come_back_keeps_no_lease_from_being_renewed(scene: Scene, home: Path) -> None:
    run_id, workspace = queue(scene, "time.sleep(600)"), BlockingWorkspace(home)
    draining = threading.Event()
    attending = threading.Thread(target=attend, args=(run_id, home, workspace), kwargs={"draining": draining})

    attending.start()
    assert workspace.is_looking.wait(60)
    before, deadline = row(run_id).lease_until, utcnow() + timedelta(seconds=30)
    while row(run_id).lease_until == before and utcnow() < deadline:
        pass

    after = row(run_id).lease_until
    draining.set()
    workspace.is_free.set()
    attending.join()
    assert before is not None
    assert after is not None
    assert after > before
