"""A secret of the machine reaches its agent, and nothing that is stored, logged or shown."""

import hashlib
import threading
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select

from egg_tasks import outbox
from egg_tasks.attending.attendance import Attendance
from egg_tasks.attending.leases import Leases
from egg_tasks.backends.command import CommandBackend
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.services.people import pipelines
from egg_tasks.workspace import GitWorkspace
from models.schemas.run import Launch
from models.tables import Base
from tests.fakes import runs_in
from tests.integration.api_scene import NAME, Scene

TOKEN = "npm-7f3a9c1e-not-for-others"
TABLES = Base.metadata.sorted_tables
HOLDER = """
printf %s "$NPM_TOKEN/$KEY" | sha256sum | cut -c1-64
echo "the registry says: invalid token $NPM_TOKEN, and $KEY"
tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/$$/cmdline
exit 1
"""
AGENT = {
    "backend": "command",
    "command": ["sh", "-c", HOLDER],
    "secrets": ["NPM_TOKEN"],
    "environment": {"KEY": {"secret": "NPM_TOKEN"}},
}


class Launched(ProcessRunner):
    """Starts agents, and keeps what it was asked to start."""

    launch: Launch

    def ensure(self, launch: Launch) -> None:
        """Keep it, and start it."""
        self.launch = launch
        super().ensure(launch)


@pytest.fixture
def queued(scene: Scene) -> UUID:
    """A run of an agent that has a secret; it waits for a worker."""
    scene.create(agents={"coder": AGENT}, phases=[{"name": "implement", "roles": [{"role": "coder"}]}])
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=NAME, now=utcnow())
    commit = GitWorkspace(scene.home).prepare(NAME, source=str(scene.home / "source"), base="HEAD")
    with unit_of_work() as session:
        pipelines.prepared(session, pipeline_id=NAME, base_commit=commit, now=utcnow())
        return runs_in(outbox.of(session).parcels)[0].run_id


def attend(run_id: UUID, home: Path) -> Launched:
    """Attend a run to its end."""
    runner = Launched(home / "runs")
    Attendance(
        run_id,
        owner=f"{settings().node}/1/1/x",
        settings=settings(),
        runner=runner,
        backend=CommandBackend(),
        workspace=GitWorkspace(home),
        draining=threading.Event(),
        leases=Leases(),
    ).attend()
    return runner


def put(home: Path, text: str) -> None:
    """Write the secret as a person does."""
    (home / "secrets").mkdir(mode=0o700, exist_ok=True)
    (home / "secrets/NPM_TOKEN").touch(mode=0o600)
    (home / "secrets/NPM_TOKEN").write_text(text)


def everything(database_url: str) -> str:
    """All that our database holds, as text."""
    with psycopg.connect(database_url) as connection:
        rows = [
            str(connection.execute(select(table).compile().string.encode()).fetchall()) for table in TABLES
        ]
    return "\n".join(rows)


def test_a_secret_reaches_its_agent_and_nothing_else(queued: UUID, scene: Scene, database_url: str) -> None:
    put(scene.home, f"{TOKEN}\n")

    runner = attend(queued, scene.home)

    proof = hashlib.sha256(f"{TOKEN}/{TOKEN}".encode()).hexdigest()
    said = (runner.own(queued) / "output.log").read_text()
    assert said.startswith(f"{proof}\nthe registry says: invalid token [")
    assert said.count("is hidden]") == 2
    stored = everything(database_url)
    assert '{"secret": "NPM_TOKEN"}' in stored
    shown = [scene.ask("GET", f"/pipelines/{NAME}{path}").body for path in ("", "/agents", "/events")]
    assert TOKEN not in f"{said}{stored}{shown}{runner.launch!r}{runner.launch.argv}"
    files = [path for path in scene.home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert files == [scene.home / "secrets/NPM_TOKEN"]


def test_one_that_is_not_there_is_asked_about_and_read_anew_by_the_run_of_the_answer(
    queued: UUID, scene: Scene
) -> None:
    attend(queued, scene.home)
    (asked,) = scene.ask("GET", f"/pipelines/{NAME}/decisions").data["decisions"]
    (failed,) = scene.ask("GET", f"/pipelines/{NAME}/agents").data["agents"]
    put(scene.home, "a-new-one-of-today")

    scene.ask(
        "POST", f"/pipelines/{NAME}/decisions/{asked['id']}/resolve", {"resolution": "Retry (respawn agent)"}
    )
    *_, again = scene.ask("GET", f"/pipelines/{NAME}/agents").data["agents"]
    runner = attend(UUID(again["run"]), scene.home)

    assert asked["question"].startswith("coder could not be started, since what its definition takes of this")
    assert (failed["failure"], failed["status"]) == ("missing_config", "failed")
    assert failed["error"].startswith(
        "the secret NPM_TOKEN is not to be had where the agent is launched; there"
    )
    assert runner.launch.secrets == {"NPM_TOKEN": "a-new-one-of-today", "KEY": "a-new-one-of-today"}
