"""What runs take of the disk is counted while they run, and who takes too much is stopped."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from egg_tasks import adapters, run_places
from egg_tasks.attending.attendance import Left
from egg_tasks.attending.disk_limits import NAP, DiskLimits
from egg_tasks.config import settings
from egg_tasks.runners import container_files, disk_use
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.tasks import agent_runs
from models.schemas.disk_use import DiskUse
from models.schemas.run import Container, Launch
from models.states import Failure, RunStatus
from tests.integration import test_gaps
from tests.integration.test_gaps import Ground
from tests.integration.test_set_up import queue, run_of

ground = test_gaps.ground

MEGABYTE = 1 << 20
MINUTE = 60.0


class LimitedRunner(ProcessRunner):
    """One whose processes may take ten megabytes, as containers may."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / run_places.RUNS)
        self.home = home

    def disk_use(self, run_id: UUID) -> DiskUse | None:
        """In the clone of a run, or in that of the run whose set-up it is."""
        clones = [run_places.clone(self.home, each) for each in (run_id, run_places.set_up_of(run_id))]
        return disk_use.measure(clones, limit=10 * MEGABYTE, home=self.home)


class StuckRunner(LimitedRunner):
    """One that comes to no end of what *at* names before it is let go."""

    def __init__(self, home: Path, at: str) -> None:
        super().__init__(home)
        self.at, self.let_go = at, threading.Event()

    def disk_use(self, run_id: UUID) -> DiskUse | None:
        """As ever, later."""
        if self.at == "disk_use":
            self.let_go.wait(MINUTE)
        return super().disk_use(run_id)

    def kill(self, run_id: UUID) -> None:
        """As ever, later."""
        if self.at == "kill":
            self.let_go.wait(MINUTE)
        super().kill(run_id)


@pytest.mark.parametrize("at", ["disk_use", "kill"])
def test_a_run_that_takes_long_to_count_or_to_kill_keeps_no_other_from_being_counted(
    ground: Ground, at: str
) -> None:
    home, limits = settings().home, DiskLimits(settings().home)
    first, second = (queue(ground, name, {"setup": "true"}) for name in ("shop", "mill"))
    for run_id in (first, second):
        clone = run_places.clone(home, run_id)
        clone.mkdir(parents=True)
        (clone / "large").write_bytes(bytes(11 * MEGABYTE))
    stuck = StuckRunner(home, at)

    with limits.hold(first, stuck):
        time.sleep(2 * NAP)
        with limits.hold(second, LimitedRunner(home)) as held:
            until = time.monotonic() + MINUTE / 2
            while not held.is_outgrown and time.monotonic() < until:
                time.sleep(NAP)
    stuck.let_go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("disk-"):
            thread.join(MINUTE)

    assert run_of(second).stopped_for is Failure.DISK


class DoubtfulRunner(LimitedRunner):
    """One of whose run not all can be counted the first few times."""

    def __init__(self, home: Path, *, times: int) -> None:
        super().__init__(home)
        self.left, self.counts = times, 0

    def disk_use(self, run_id: UUID) -> DiskUse | None:
        """As ever, but for what it says of that."""
        self.counts, self.left = self.counts + 1, self.left - 1
        found = super().disk_use(run_id)
        return found and replace(found, uncounted="it is slow" if self.left >= 0 else "")


@pytest.mark.parametrize(("times", "is_stopped"), [(1, False), (2, True)])
def test_who_can_not_be_counted_once_may_be_the_next_time_and_is_stopped_if_not(
    ground: Ground, *, times: int, is_stopped: bool
) -> None:
    run_id = queue(ground, "shop", {"setup": "true"})
    runner = DoubtfulRunner(settings().home, times=times)

    with DiskLimits(settings().home).hold(run_id, runner) as held:
        until = time.monotonic() + MINUTE / 2
        while not held.is_outgrown and runner.counts < 2 and time.monotonic() < until:
            time.sleep(NAP / 5)
        time.sleep(NAP)

    assert held.is_outgrown is is_stopped


def test_a_set_up_that_takes_more_of_the_disk_than_it_may_is_stopped_and_said_to_have(ground: Ground) -> None:
    run_id = queue(ground, "shop", {"setup": "head -c 20M /dev/zero > large; sleep 60"})
    attendance = agent_runs._attendance(run_id)
    attendance.runner = attendance.ending.runner = LimitedRunner(settings().home)

    assert attendance.attend() is Left.FINISHED

    run = run_of(run_id)
    assert (run.status, run.failure) == (RunStatus.FAILED, Failure.DISK)
    assert run.error.startswith("by its set-up: its clone, its role's HOME and its output take 2")
    assert not adapters.runner().has_started(run_id)


def test_what_a_set_up_in_a_container_takes_is_that_of_the_clone_it_works_in(tmp_path: Path) -> None:
    run_id = uuid4()
    set_up = run_places.set_up_of(run_id)
    clone = run_places.clone(tmp_path, run_id)
    clone.mkdir(parents=True)
    (clone / "large").write_bytes(bytes(2 * MEGABYTE))
    launch = Launch(
        run_id=set_up,
        argv=["true"],
        environment={},
        directory=Path("/work"),
        clone_of=run_id,
        container=Container(disk=MEGABYTE),
    )
    given = run_places.given(tmp_path, set_up)
    container_files.write(given, run_places.ours(given), launch, owner=0, engine="unix:///none")

    used = disk_use.of_run(tmp_path, set_up)

    assert used is not None
    assert used.is_too_much
    assert used.places[0].path == f"runs/{run_id}/clone"
