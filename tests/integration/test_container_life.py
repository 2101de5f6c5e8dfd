"""Whatever dies while an agent is in its container: it starts once, its work is kept, and nothing is left."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from uuid import UUID, uuid4

import pytest

from egg_tasks import adapters, run_places
from egg_tasks.attending.engine_away import PATIENCE
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.runners import container_files, container_spec, engine
from egg_tasks.runners.docker import DockerRunner
from egg_tasks.services.people import pipelines
from egg_tasks.services.reads import overviews, pipeline_status
from egg_tasks.use_cases import clearing
from models.queries import repairs
from models.schemas.overview import OverviewRead, ServerDiskRead
from models.states import Failure, RunStatus
from tests.engine import IMAGE, OwnEngine
from tests.integration import api_scene
from tests.integration.api_scene import OPERATOR, Scene
from tests.integration.gaps import begun, dies, lives
from tests.integration.runner_scene import end_all, until
from tests.integration.test_gaps import Ground, attend
from tests.integration.workspace_scene import git

WRITES = (
    (engine.Engine, "create"),
    (engine.Engine, "start"),
    (container_files, "note_started"),
    (container_files, "note_end"),
    (engine.Engine, "remove"),
)
"""What an attendance does for its container, in order; the first try of a kill comes before the first."""
WORKING = """
echo $EGG_AGENT_RUN_ID >> $HOME/starts
echo done > done.txt; git add done.txt; git commit -qm done
echo begun > begun.txt
"""
WAITING = f"{WORKING} until test -e $HOME/go; do sleep 0.05; done"


class Containers(Ground):
    """Pipelines of one role each, whose agent is in a container."""

    script = WORKING

    def begin(self, name: str) -> None:
        """A pipeline that wants its repository."""
        program = {
            "backend": "command",
            "command": ["sh", "-c", self.script],
            "isolation": {"kind": "docker", "image": IMAGE, "memory": "128m"},
        }
        roles = {"phases": [{"name": "implement", "roles": [{"role": "coder"}]}]}
        self.scene.create(name=name, agents={"coder": program}, **roles)
        with unit_of_work() as session:
            pipelines.start(session, pipeline_id=name, now=utcnow())

    def role_home(self, name: str) -> Path:
        """What the agents of a pipeline have as their HOME."""
        return run_places.home_of(self.scene.home, name, "coder")

    def started(self, name: str) -> list[str]:
        """The runs whose agents began, as they say themselves."""
        starts = self.role_home(name) / "starts"
        return starts.read_text().split() if starts.exists() else []

    def kept(self, name: str) -> set[str]:
        """The files on the role's branch."""
        bare = adapters.workspace().repository(name)
        return set(git(bare, "ls-tree", "--name-only", f"egg/{name}/coder").split())


@pytest.fixture
def ground(
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    container_engine: OwnEngine,
) -> Iterator[Containers]:
    """No server and no worker: the processes of a test are all there are."""
    given = {
        "EGG_DATABASE_URL": database_url,
        "EGG_REDIS_URL": redis_url,
        "EGG_HOME": str(tmp_path),
        "EGG_OPERATOR_TOKEN": OPERATOR,
        "EGG_DOCKER_HOST": container_engine.url,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    api_scene.forget()
    yield Containers(Scene(port=0, home=tmp_path), tmp_path / "starts")
    end_all(runner())
    clearing.end_strangers()
    api_scene.forget()


def runner() -> DockerRunner:
    """Who runs agents in containers here."""
    found = adapters.runner(adapters.DOCKER)
    assert isinstance(found, DockerRunner)
    return found


def attend_there(name: str, ground: Ground, *, patience: timedelta = PATIENCE) -> None:
    """Attend the run of a pipeline, as a worker does that has just started."""
    # Also the engine is spoken to by the process alone that this is.
    engine.at.cache_clear()
    adapters.runner.cache_clear()
    attend(ground.run(name).id, runner=runner(), patience=patience)


def why(name: str) -> str:
    """What `egg why` says."""
    with unit_of_work() as session:
        return str(pipeline_status.status(session, pipeline_id=name, now=utcnow()).why)


def test_an_attendance_of_a_container_may_die_anywhere(ground: Containers) -> None:
    for at in range(1, len(WRITES) + 1):
        name = f"shop-{at}"
        ground.queue(name)

        assert dies(partial(attend_there, name, ground), at=at, seen=WRITES)
        lives(partial(attend_there, name, ground))
        clearing.end_strangers()

        run = ground.run(name)
        assert (run.status, run.closed_at is not None) == (RunStatus.SUCCEEDED, True)
        assert ground.started(name) == [str(run.id)], f"killed before write {at}"
        assert [ground.told(name, kind) for kind in ("agent.started", "agent.salvaged")] == [1, 1]
        assert ground.kept(name) >= {"done.txt", "begun.txt"}
        assert list(runner().list_present()) == []


@pytest.fixture
def away(ground: Containers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the engine would answer, which is away: a link to its socket brings it back."""
    socket, url = ground.scene.home / "docker.sock", settings().docker_host
    monkeypatch.setenv("EGG_DOCKER_HOST", f"unix://{socket}")
    api_scene.forget()
    yield socket
    monkeypatch.setenv("EGG_DOCKER_HOST", url)
    api_scene.forget()


def test_a_run_waits_for_an_engine_that_is_started_anew_and_says_so(
    ground: Containers, away: Path, container_engine: OwnEngine
) -> None:
    ground.queue("shop")
    with ThreadPoolExecutor(1) as pool:
        attending = pool.submit(attend_there, "shop", ground)
        until(lambda: ground.run("shop").held_up is not None)
        said, all_said = why("shop"), overview().held_up
        away.symlink_to(container_engine.url.removeprefix("unix://"))
        attending.result()

    assert f"coder (run 1) waits: no container engine answers at unix://{away}" in said
    assert [(one.pipeline, "EGG_DOCKER_HOST" in one.text) for one in all_said] == [("shop", True)]
    run = ground.run("shop")
    assert (run.status, run.failure, run.held_up) == (RunStatus.SUCCEEDED, None, None)
    assert ground.started("shop") == [str(run.id)]
    assert overview().held_up == ()


def test_a_run_whose_engine_does_not_come_fails_to_start_and_holds_no_place(
    ground: Containers, away: Path
) -> None:
    ground.queue("shop")

    attend_there("shop", ground, patience=timedelta(seconds=1))

    run = ground.run("shop")
    assert (run.status, run.failure) == (RunStatus.FAILED, Failure.STARTUP)
    assert run.closed_at is not None, "its place is another's"
    assert run.error.startswith(f"no container engine answers at unix://{away}: start it, or say where it is")


def test_a_run_that_is_cancelled_while_it_waits_for_an_engine_ends(ground: Containers, away: Path) -> None:
    ground.queue("shop")
    with ThreadPoolExecutor(1) as pool:
        attending = pool.submit(attend_there, "shop", ground)
        until(lambda: ground.run("shop").held_up is not None)
        with unit_of_work() as session:
            pipelines.cancel(session, pipeline_id="shop", now=utcnow())
        attending.result()

    assert not away.exists()
    assert (ground.run("shop").status, ground.run("shop").held_up) == (RunStatus.CANCELLED, None)
    assert ground.run("shop").closed_at is not None


def test_an_engine_that_goes_while_an_agent_runs_decides_nothing(
    ground: Containers, away: Path, container_engine: OwnEngine
) -> None:
    ground.script = WAITING
    away.symlink_to(container_engine.url.removeprefix("unix://"))
    ground.queue("shop")
    with ThreadPoolExecutor(1) as pool:
        attending = pool.submit(attend_there, "shop", ground)
        until(lambda: len(ground.started("shop")) == 1)
        away.unlink()
        attending.result()
    assert ground.run("shop").status is RunStatus.RUNNING
    assert "no container engine answers" in why("shop")

    away.symlink_to(container_engine.url.removeprefix("unix://"))
    (ground.role_home("shop") / "go").touch()
    attend_there("shop", ground)

    assert ground.run("shop").status is RunStatus.SUCCEEDED
    assert ground.started("shop") == [str(ground.run("shop").id)]
    assert "no container engine" not in why("shop")


def overview() -> OverviewRead:
    """What `egg status` is told."""
    with unit_of_work() as session:
        disk = ServerDiskRead(free_bytes=1, shortage=None)
        return overviews.overview(session, disk=disk, now=utcnow())


def pid_of_agent(own: OwnEngine, run_id: UUID) -> int:
    """The agent's process, as this machine counts."""
    listed = own.docker("top", container_spec.name(run_id), "-eo", "pid,args").splitlines()
    return next(int(line.split()[0]) for line in listed if "EGG_AGENT_RUN_ID" in line)


def killed_agent(own: OwnEngine, run_id: UUID) -> None:
    os.kill(pid_of_agent(own, run_id), signal.SIGKILL)


def killed_shim(own: OwnEngine, run_id: UUID) -> None:
    own.docker("kill", "--signal", "KILL", container_spec.name(run_id))


def removed(own: OwnEngine, run_id: UUID) -> None:
    own.docker("rm", "-f", container_spec.name(run_id))


def restarted(own: OwnEngine, _run_id: UUID) -> None:
    own.stop()
    own.start()


def restarted_after_a_kill(own: OwnEngine, _run_id: UUID) -> None:
    own.stop(signal.SIGKILL)
    own.start()


def die_while_it_works(ground: Containers, own: OwnEngine, die: Callable[[OwnEngine, UUID], None]) -> None:
    """Have something die when an agent is at work; its worker may end, and another goes on."""
    name = die.__name__.replace("_", "-")
    ground.script = WAITING
    ground.queue(name)
    with ThreadPoolExecutor(1) as pool:
        attending = pool.submit(attend_there, name, ground)
        clone = run_places.clone(ground.scene.home, ground.run(name).id)
        until((clone / "begun.txt").exists)
        die(own, ground.run(name).id)
        attending.result()
    attend_there(name, ground)
    clearing.end_strangers()

    run = ground.run(name)
    assert (run.status, run.closed_at is not None) == (RunStatus.LOST, True), die.__name__
    assert ground.started(name) == [str(run.id)], die.__name__
    assert ground.kept(name) >= {"done.txt", "begun.txt"}, die.__name__
    assert ground.told(name, "agent.salvaged") == 1
    assert list(runner().list_present()) == [], die.__name__


@pytest.mark.parametrize("die", [killed_agent, killed_shim, removed])
def test_what_dies_in_a_container_loses_no_line_and_leaves_nothing(
    ground: Containers, container_engine: OwnEngine, die: Callable[[OwnEngine, UUID], None]
) -> None:
    die_while_it_works(ground, container_engine, die)


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """An engine that nobody else uses, so that it may die."""
    own = OwnEngine(Path(mkdtemp(prefix="egg-mortal-")))
    own.home.chmod(0o711)
    own.start()
    own.image_base()
    monkeypatch.setenv("EGG_DOCKER_HOST", own.url)
    yield own
    own.stop()
    own.remove()


def test_an_engine_that_is_started_anew_or_killed_loses_no_line_and_leaves_nothing(
    ground: Containers, mortal: OwnEngine
) -> None:
    """Its containers end with it, or when it is back (live-restore is off, as where nobody has set it)."""
    api_scene.forget()

    die_while_it_works(ground, mortal, restarted)
    die_while_it_works(ground, mortal, restarted_after_a_kill)

    assert mortal.docker("ps", "-aq") == ""


def test_a_worker_that_dies_while_an_agent_works_leaves_it_alone(ground: Containers) -> None:
    ground.script = WAITING
    ground.queue("shop")
    child = begun(partial(attend_there, "shop", ground))
    until(lambda: ground.run("shop").status is RunStatus.RUNNING and len(ground.started("shop")) == 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert list(runner().list_live()) == [ground.run("shop").id]

    (ground.role_home("shop") / "go").touch()
    lives(partial(attend_there, "shop", ground))

    assert ground.run("shop").status is RunStatus.SUCCEEDED
    assert ground.started("shop") == [str(ground.run("shop").id)]
    assert list(runner().list_present()) == []


def test_a_container_whose_run_was_over_before_it_was_started_goes(ground: Containers) -> None:
    ground.queue("shop")
    assert dies(partial(attend_there, "shop", ground), at=2, seen=WRITES)
    assert list(runner().list_present()) == [ground.run("shop").id]
    clearing.end_strangers()
    assert list(runner().list_present()) == [ground.run("shop").id], "its run is to be started yet"

    with unit_of_work() as session:
        pipelines.cancel(session, pipeline_id="shop", now=utcnow())
    attend_there("shop", ground)
    clearing.end_strangers()

    assert ground.run("shop").status is RunStatus.CANCELLED
    assert ground.started("shop") == []
    assert list(runner().list_present()) == []


def test_a_stranger_is_ended_and_counted_and_another_installations_container_is_not(
    ground: Containers, container_engine: OwnEngine, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    theirs, strange = uuid4(), uuid4()
    for run_id, home in ((theirs, other), (strange, ground.scene.home)):
        labels = {
            container_spec.RUN: str(run_id),
            container_spec.INSTALLATION: container_files.installation(home),
        }
        told = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
        container_engine.docker(
            *("run", "-d", "--network", "none", "--name", container_spec.name(run_id), *told, IMAGE),
            *("sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"),
        )

    assert clearing.end_strangers() == 1

    names = container_engine.docker("ps", "--format", "{{.Names}}").split()
    assert container_spec.name(theirs) in names
    assert container_spec.name(strange) not in names
    with unit_of_work() as session:
        assert repairs.count_repairs(session)["end_strangers"] == 1
    container_engine.docker("rm", "-f", container_spec.name(theirs))
