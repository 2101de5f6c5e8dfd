"""An agent in a container takes more of the disk, or of memory, than it may: that is what is said of it."""

import ctypes
import os
import pickle
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from egg_tasks import adapters
from egg_tasks.attending.attendance import Left
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.runners import disk_use
from egg_tasks.services.people import pipelines
from egg_tasks.tasks import agent_runs
from egg_tasks.tasks import pipelines as pipeline_tasks
from models.queries import agent_runs as run_rows
from models.queries import decisions as decision_rows
from models.schemas.disk_use import Directory, DiskUse
from models.schemas.run import Exit
from models.states import Failure, RunStatus
from models.tables import AgentRun
from tests.engine import IMAGE, OwnEngine
from tests.integration import api_scene, test_gaps
from tests.integration.gaps import lives
from tests.integration.test_gaps import Ground
from tests.integration.world import World, definition

ground = test_gaps.ground

NAME = "shop"
BOX = {"kind": "docker", "image": IMAGE, "memory": "128m", "pids": 60, "disk": "64m"}
MEGABYTE = 1 << 20
USER = 65532
PR_SET_DUMPABLE = 4


@pytest.fixture
def boxed(ground: Ground, container_engine: OwnEngine, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """A home whose containers are those of the tests' engine."""
    monkeypatch.setenv("EGG_DOCKER_HOST", container_engine.url)
    api_scene.forget()
    return ground


def ended(ground: Ground, script: str) -> AgentRun:
    """The run of an agent that is a script in a container, attended to its end as a worker does."""
    program = {"backend": "command", "command": ["sh", "-c", script], "isolation": BOX}
    phase = {"name": "implement", "roles": [{"role": "coder"}]}
    ground.scene.create(name=NAME, agents={"coder": program}, phases=[phase])
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=NAME, now=utcnow())
    lives(partial(pipeline_tasks.prepare, NAME))
    run = ground.run(NAME)
    assert agent_runs._attendance(run.id).attend() is Left.FINISHED
    with unit_of_work() as session:
        return run_rows.get_agent_run(session, run_id=run.id)


def asked(run: AgentRun) -> list[str]:
    """The questions that a person is asked about the run's phase."""
    with unit_of_work() as session:
        found = decision_rows.list_decisions(session, phase_run_id=run.phase_run_id, is_pending=True)
        return [each.question for each in found]


@pytest.mark.parametrize("place", ["big", "$HOME/.cache"])
def test_one_that_takes_more_of_the_disk_than_it_may_is_stopped_and_a_person_is_asked(
    boxed: Ground, place: str
) -> None:
    fill = f"mkdir -p {place}; echo mine > work; trap '' TERM; head -c 100M /dev/urandom > {place}/file"

    run = ended(boxed, f"{fill}; sleep 600")

    where = f"runs/{run.id}/clone/big" if place == "big" else f"roles/{NAME}/coder/home/.cache"
    assert (run.status, run.failure) == (RunStatus.FAILED, Failure.DISK)
    assert f" of the disk, and 67 MB is what they may (`isolation.disk`); most is in {where} (" in run.error
    (question,) = asked(run)
    assert question.startswith("coder took more of the disk than it may and was stopped (run 1): its clone")
    branch = f"egg/{NAME}/coder"
    commit = adapters.workspace().find_branch(NAME, branch=branch)
    assert commit == run.salvaged_commit, "what it had done is kept"


def test_one_that_takes_more_memory_than_it_may_is_told_of_so_and_tried_once_more(boxed: Ground) -> None:
    run = ended(boxed, "python3 -c 'x = bytearray(1 << 30)'")

    assert (run.status, run.failure) == (RunStatus.FAILED, Failure.OUT_OF_MEMORY)
    assert run.error.startswith("it had taken all of the 134 MB that it may have")
    assert "`isolation.memory`" in run.error
    assert asked(run) == []


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (Exit(signal=9, is_out_of_memory=True), Failure.OUT_OF_MEMORY),
        (Exit(is_out_of_memory=True), Failure.OUT_OF_MEMORY),
        (Exit(exit_code=137, is_out_of_memory=True), Failure.OUT_OF_MEMORY),
        (Exit(exit_code=0, is_out_of_memory=True), None),
        (Exit(signal=9), Failure.LOST),
    ],
)
def test_only_who_ended_badly_for_want_of_memory_failed_of_it(
    world: World, outcome: Exit, failure: Failure | None
) -> None:
    world.begin(definition({"role": "coder"}))
    world.start("coder")

    world.end("coder", outcome)

    assert world.runs()[0].failure is failure


@pytest.mark.parametrize("on_failure", ["ask", "retry"])
def test_what_runs_out_of_memory_again_is_a_persons_to_mend(world: World, on_failure: str) -> None:
    world.begin(definition({"role": "coder", "on_failure": on_failure}))
    for _ in range(2):
        assert world.decisions() == []
        world.start("coder")
        world.end("coder", Exit(signal=9, is_out_of_memory=True, ended_at=world.now))
        assert world.roles_live() == set(), "not at once"
        world.pass_time(60)
        world.evaluate()

    (question,) = world.decisions()
    assert question.question.startswith("coder ran out of memory")


def test_what_lies_too_deep_for_a_path_counts_and_what_a_link_leads_to_does_not(tmp_path: Path) -> None:
    clone, elsewhere = tmp_path / "clone", tmp_path / "elsewhere"
    for directory in (clone / "deep", elsewhere):
        directory.mkdir(parents=True)
    (elsewhere / "large").write_bytes(os.urandom(4 * MEGABYTE))
    (clone / "link").symlink_to(elsewhere)
    (clone / "one").write_bytes(os.urandom(MEGABYTE))
    os.link(clone / "one", clone / "two")
    here = os.open(clone / "deep", os.O_RDONLY)
    for _ in range(40):
        os.mkdir("x" * 200, dir_fd=here)
        inner = os.open("x" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    with os.fdopen(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here), "wb") as file:
        file.write(os.urandom(2 * MEGABYTE))
    os.close(here)

    used = disk_use.measure([clone, tmp_path / "none"], limit=3 * MEGABYTE, home=tmp_path)

    assert 3 * MEGABYTE <= used.size < 4 * MEGABYTE
    assert used.is_too_much
    assert [each.path for each in used.places] == ["clone/deep", "clone"]


def test_only_directories_that_matter_are_named() -> None:
    sizes = {"a\n": 700, "b": 60, "c": 30}
    places = [Directory(path, size * MEGABYTE) for path, size in sizes.items()]

    said = str(DiskUse(800 * MEGABYTE, 600 * MEGABYTE, places))

    assert said.endswith("most is in a\\n (734 MB), b (63 MB)")


def test_counting_many_directories_takes_no_more_memory_than_counting_few(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for number in range(3000):
        (clone / f"{number}-{'x' * 200}").mkdir(parents=True)
    (clone / "large").mkdir()
    (clone / "large" / "file").write_bytes(os.urandom(MEGABYTE))

    tracemalloc.start()
    try:
        used = disk_use.measure([clone], limit=MEGABYTE, home=tmp_path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < MEGABYTE
    assert used.is_too_much
    assert used.places[0].path == "clone/large"
    assert len(used.places) == disk_use.MOST_NAMED


def test_many_files_with_nothing_in_them_are_too_much(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}").touch()

    used = disk_use.measure([tmp_path], limit=MEGABYTE, home=tmp_path)

    assert (used.files, used.size < MEGABYTE, used.is_too_much) == (301, True, True)
    assert "have 301 files, and 256 is what they may, one for each 4096 bytes of" in str(used)
    assert not disk_use.measure([tmp_path], limit=2 * MEGABYTE, home=tmp_path).is_too_much


def test_what_cannot_be_counted_in_time_is_too_much(tmp_path: Path) -> None:
    used = disk_use.measure([tmp_path], limit=MEGABYTE, home=tmp_path, seconds=0)

    assert used.is_too_much
    assert "cannot be counted: there are too many files in them to be counted within 0 s" in str(used)


def test_what_was_stopped_with_its_worker_meanwhile_is_not_taken_for_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read

    def stopped(descriptor: int, most: int) -> bytes:
        time.sleep(0.5)
        return read(descriptor, most)

    monkeypatch.setattr(os, "read", stopped)
    monkeypatch.setattr(disk_use, "SLICE", 0.05)

    used = disk_use.measure([tmp_path], limit=MEGABYTE, home=tmp_path, seconds=1.2)

    assert used.uncounted == ""


@pytest.mark.parametrize("is_its_own", [True, False])
def test_what_is_closed_to_its_own_user_is_opened_and_what_cannot_be_is_too_much(is_its_own: bool) -> None:
    with TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        (clone / "closed" / "inner").mkdir(parents=True)
        (clone / "closed" / "inner" / "file").write_bytes(os.urandom(2 * MEGABYTE))
        if os.geteuid() == 0:
            for path in (Path(name), clone, *clone.rglob("*")):
                os.chown(path, USER, USER)
            os.chown(clone / "closed", USER if is_its_own else 0, -1)
        elif not is_its_own:
            assert "CI" not in os.environ, "CI is root"
            pytest.skip("only root makes what another owns")
        for path in (clone / "closed" / "inner", clone / "closed"):
            path.chmod(0)

        used = as_a_user(lambda: disk_use.measure([clone], limit=8 * MEGABYTE, home=Path(name)))

        (clone / "closed").chmod(0o700)
    if is_its_own:
        assert (used.uncounted, used.is_too_much) == ("", False)
        assert 2 * MEGABYTE <= used.size < 3 * MEGABYTE
    else:
        assert used.is_too_much
        assert "cannot be counted: it has closed a directory" in str(used)


def as_a_user(work: Callable[[], DiskUse]) -> DiskUse:
    """What *work* finds in a process of a user who is not root."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(USER, USER, USER)
                os.setresuid(USER, USER, USER)
                # Else /proc/self is closed to it until it executes something.
                ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)
            os.write(writing, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pickle.loads(pipe.read())  # noqa: S301  our own
    os.waitpid(child, 0)
    assert isinstance(found, DiskUse)
    return found
