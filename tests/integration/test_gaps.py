"""What if we die right here? A process is killed before each of its writes, and another takes up its work."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from egg_tasks import adapters
from egg_tasks.attending import owners
from egg_tasks.attending.attendance import Attendance, Left
from egg_tasks.attending.engine_away import PATIENCE
from egg_tasks.attending.leases import Leases
from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.outbox import Notice
from egg_tasks.ports import Runner
from egg_tasks.proof import key_of, name_of
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.services.agents import tries
from egg_tasks.services.engine import rebases
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import pipelines, questions
from egg_tasks.services.people.questions import Question
from egg_tasks.tasks import agent_runs, versions
from egg_tasks.tasks import pipelines as pipeline_tasks
from egg_tasks.tasks import rebases as rebase_tasks
from egg_tasks.use_cases import readiness, telling
from models.queries import agent_runs as run_rows
from models.queries import pipelines as pipeline_rows
from models.queries import rebases as rebase_rows
from models.queries import versions as version_rows
from models.schemas.credential import CallingAgent
from models.schemas.run import Exit, Launch, Wake
from models.states import MergeStatus, Readiness, RunStatus
from models.tables import AgentRun, Event, Pipeline, Version
from tests.integration import api_scene
from tests.integration.api_scene import OPERATOR, Scene
from tests.integration.gaps import dies, lives
from tests.integration.test_notices import SECRET, due, receiving

MOST = 200
"""More writes than anything here has; it does not depend on how busy the machine is (`gaps.dies`)."""
EVERY = int(os.environ.get("GAPS_EVERY", "17"))
"""One gap in so many is tried; all of them take too long for every run of the tests (`make gaps`)."""
AGENT = """
import os, subprocess, sys
with open(sys.argv[1], "a") as starts:
    starts.write(os.environ["EGG_AGENT_RUN_ID"] + chr(10))
open("done.txt", "w").write("done")
for command in (("add", "."), ("commit", "-qm", "done")):
    subprocess.run(["git", *command], check=True)
open("begun.txt", "w").write("begun")
"""


@dataclass
class Ground:
    """A database and a home, where pipelines of one role are begun one after the other."""

    scene: Scene
    starts: Path

    def begin(self, name: str) -> None:
        """A pipeline that wants its repository."""
        roles = {"phases": [{"name": "implement", "roles": [{"role": "coder"}]}]}
        program = {"backend": "command", "command": [sys.executable, "-c", AGENT, str(self.starts)]}
        self.scene.create(name=name, agents={"coder": program}, **roles)
        with unit_of_work() as session:
            pipelines.start(session, pipeline_id=name, now=utcnow())

    def queue(self, name: str) -> UUID:
        """The run of a pipeline that waits for a worker."""
        self.begin(name)
        lives(partial(pipeline_tasks.prepare, name))
        return self.run(name).id

    def run(self, name: str) -> AgentRun:
        """The first run of a pipeline."""
        with unit_of_work() as session:
            return run_rows.list_agent_runs(session, pipeline_id=name)[0]

    def speaker(self, name: str) -> CallingAgent:
        """The agent of a pipeline, with a clone in which something is committed."""
        run_id = self.queue(name)
        self.scene.bring_to_life(name, run_id)
        commit = self.pipeline(name).work_commit
        assert commit is not None
        adapters.workspace().open_clone(name, role="coder", run_id=run_id, work_commit=commit)
        self.scene.commit(name, "done.txt")
        return CallingAgent(run_id, name, self.run(name).phase_run_id, "coder")

    def pipeline(self, name: str) -> Pipeline:
        """A pipeline as it is now."""
        with unit_of_work() as session:
            return pipeline_rows.get_pipeline(session, pipeline_id=name)

    def version(self, who: CallingAgent) -> Version | None:
        """The first version of an agent's role."""
        with unit_of_work() as session:
            return version_rows.find_version(session, phase_run_id=who.phase_run_id, role=who.role, number=1)

    def is_known(self, run_id: UUID) -> bool:
        """Whether a run's own token speaks for it."""
        token = (self.scene.home / "shims" / str(run_id) / "token").read_text()
        with unit_of_work() as session:
            return bool(run_rows.list_agent_runs_by_token(session, names=[name_of(key_of(token))]))

    def told(self, name: str, kind: str) -> int:
        """How often an event was told."""
        query = select(func.count()).where(Event.pipeline_id == name, Event.type == kind)
        with unit_of_work() as session:
            return session.scalars(query).one()


@pytest.fixture
def ground(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ground]:
    """No server and no worker: the processes of a test are all there are."""
    given = {"EGG_DATABASE_URL": database_url, "EGG_REDIS_URL": redis_url, "EGG_HOME": str(tmp_path)}
    for name, value in {**given, "EGG_OPERATOR_TOKEN": OPERATOR}.items():
        monkeypatch.setenv(name, value)
    api_scene.forget()
    yield Ground(Scene(port=0, home=tmp_path), tmp_path / "starts")
    api_scene.forget()


def at_gaps(
    begin: Callable[[str], object],
    act: Callable[[str], object],
    after: Callable[[str], object],
    *,
    every: int = EVERY,
) -> None:
    """Kill *act* before one of its writes, each time on something begun anew, until it outlives that."""
    for at in range(1, MOST, every):
        name = f"shop-{at}"
        begin(name)
        has_died = dies(partial(act, name), at=at)
        after(name)
        if not has_died:
            return
    pytest.fail("it never comes to its end")


class UnreadableRunner(ProcessRunner):
    """A runner to which it is never known how a run ended."""

    def wait(self, run_id: UUID, *, timeout: timedelta) -> Exit | None:
        """Wait until it has ended, and not find out how."""
        if super().wait(run_id, timeout=timeout) is not None:
            raise IsADirectoryError("outcome.json")
        return None


def attend(run_id: UUID, *, runner: Runner | None = None, patience: timedelta = PATIENCE) -> Left:
    """Attend a run, as a worker does that has just started."""
    agent_runs._free_leases()
    return Attendance(
        run_id,
        owner=owners.new_name(settings().node),
        settings=settings(),
        runner=runner or adapters.runner(),
        backend=adapters.backend(),
        workspace=adapters.workspace(),
        draining=threading.Event(),
        leases=Leases(),
        patience=patience,
    ).attend()


def test_who_has_died_holds_no_row_any_more(ground: Ground) -> None:
    """Its server is still busy when it dies; who comes next must not find the row held, and skip it."""
    ground.begin("shop")

    def act() -> None:
        is_held = threading.Event()

        def hold() -> None:
            with unit_of_work() as session:
                pipeline_rows.lock_pipeline(session, pipeline_id="shop")
                is_held.set()
                session.execute(select(func.pg_sleep(1)))

        threading.Thread(target=hold, daemon=True).start()
        is_held.wait()
        (ground.scene.home / "a").touch()
        os.replace(ground.scene.home / "a", ground.scene.home / "b")  # noqa: PTH105 - what is watched

    assert dies(act, at=1)
    with unit_of_work() as session:
        free = select(Pipeline.id).where(Pipeline.id == "shop").with_for_update(nowait=True)
        assert session.scalars(free).one() == "shop"


def test_the_making_of_a_repository_may_die_anywhere(ground: Ground) -> None:
    def check(name: str) -> None:
        lives(partial(pipeline_tasks.prepare, name))
        work = adapters.workspace().find_branch(name, branch=f"egg/{name}/work")
        assert work == ground.pipeline(name).work_commit is not None
        assert ground.run(name).status is RunStatus.QUEUED, "its agent is due, once"

    at_gaps(ground.begin, pipeline_tasks.prepare, check)


def test_an_attendance_may_die_anywhere(ground: Ground) -> None:
    def act(name: str) -> None:
        attend(ground.run(name).id)

    def check(name: str) -> None:
        lives(partial(act, name))
        run = ground.run(name)
        assert (run.status, run.closed_at is not None) == (RunStatus.SUCCEEDED, True)
        started = ground.starts.read_text().split()
        assert started.count(str(run.id)) == 1, "the agent ran once"
        assert [ground.told(name, kind) for kind in ("agent.started", "agent.salvaged")] == [1, 1]
        assert ground.is_known(run.id), "its token is the one it was given last"
        kept = adapters.workspace().find_branch(name, branch=f"egg/{name}/coder")
        assert kept == run.salvaged_commit is not None, "its work is safe"

    at_gaps(ground.queue, act, check)


def test_the_giving_up_of_a_run_may_die_anywhere(ground: Ground) -> None:
    """Its end cannot be read, and it was tried often enough: it is closed, once, and its work is kept."""

    def begin(name: str) -> None:
        run_id = ground.queue(name)
        attend(run_id, runner=UnreadableRunner(ground.scene.home / "runs"))
        with unit_of_work() as session:
            run_rows.lock_agent_run(session, run_id=run_id).tries = tries.MOST - 2

    def act(name: str) -> None:
        for _ in range(2):
            attend(ground.run(name).id, runner=UnreadableRunner(ground.scene.home / "runs"))

    def check(name: str) -> None:
        lives(partial(act, name))
        run = ground.run(name)
        assert (run.status, run.closed_at is not None) == (RunStatus.LOST, True)
        assert run.error.startswith("its end could not be read: ")
        assert [ground.told(name, kind) for kind in ("agent.lost", "agent.salvaged")] == [1, 1]
        kept = adapters.workspace().find_branch(name, branch=f"egg/{name}/coder")
        assert kept == run.salvaged_commit is not None, "its work is safe"
        assert run.id not in adapters.runner().list_live()

    at_gaps(begin, act, check)


def test_a_ready_may_die_anywhere(ground: Ground) -> None:
    spoken: dict[str, CallingAgent] = {}

    def begin(name: str) -> None:
        spoken[name] = ground.speaker(name)

    def act(name: str) -> None:
        readiness.take(spoken[name], Signal(Readiness.READY))

    def check(name: str) -> None:
        who = spoken[name]
        if ground.version(who) is None:
            # Who got no answer says it again.
            lives(partial(act, name))
        version = ground.version(who)
        assert version is not None
        assert version.merge_status is MergeStatus.MERGING, "whoever finds it merges it"
        assert ground.told(name, "readiness.changed") == 1
        assert version.commit == head(ground.scene.clone(name))
        assert adapters.workspace().tree(name, commit=version.commit) == version.tree

    at_gaps(begin, act, check)


def test_a_merge_may_die_anywhere(ground: Ground) -> None:
    keys: dict[str, tuple[str, str, int]] = {}

    def begin(name: str) -> None:
        who = ground.speaker(name)
        lives(partial(readiness.take, who, Signal(Readiness.READY)))
        keys[name] = (str(who.phase_run_id), who.role, 1)

    def act(name: str) -> None:
        versions.integrate(*keys[name])

    def check(name: str) -> None:
        # What the reconciler sends again: the merge, and the moving of the branch behind its row.
        lives(partial(act, name))
        lives(partial(pipeline_tasks.publish, name))
        pipeline = ground.pipeline(name)
        work = adapters.workspace().find_branch(name, branch=f"egg/{name}/work")
        assert work == pipeline.work_commit == pipeline.published_commit != pipeline.base_commit
        assert ground.told(name, "branch.merged") == 1
        assert ground.told(name, "consensus.reached") == 1

    at_gaps(begin, act, check)


def test_the_coming_in_of_a_present_base_may_die_anywhere(ground: Ground) -> None:
    """Wished, fetched, merged and published by processes that die: it is in once, and told once."""
    mended: dict[str, str] = {}
    source = ground.scene.home / "source"

    def begin(name: str) -> None:
        ground.speaker(name)
        commit = (*api_scene.GIT, "commit", "-q", "--allow-empty", "-m", name)
        subprocess.run(commit, cwd=source, check=True)
        mended[name] = head(source)

    def act(name: str) -> None:
        with unit_of_work() as session:
            if rebase_rows.find_last_rebase(session, pipeline_id=name) is None:
                rebases.wish(session, pipeline_id=name, commit=None, now=utcnow())
        with unit_of_work() as session:
            row = rebase_rows.find_last_rebase(session, pipeline_id=name)
        assert row is not None
        rebase_tasks.merge(row.id)

    def check(name: str) -> None:
        # What the reconciler sends again: the merge, and the moving of the branch behind its row.
        lives(partial(act, name))
        lives(partial(pipeline_tasks.publish, name))
        pipeline = ground.pipeline(name)
        with unit_of_work() as session:
            rows = rebase_rows.list_merged(session, pipeline_id=name)
        assert [(row.commit, row.merge_commit) for row in rows] == [(mended[name], pipeline.work_commit)]
        work = adapters.workspace().find_branch(name, branch=f"egg/{name}/work")
        assert work == pipeline.work_commit == pipeline.published_commit != pipeline.base_commit
        told = [ground.told(name, kind) for kind in ("branch.rebase_requested", "branch.rebased")]
        assert told == [1, 1]

    at_gaps(begin, act, check)


def test_a_telling_may_die_anywhere(ground: Ground) -> None:
    """The agent is woken once or twice, and finds what it is told when it is."""
    runner, words = adapters.runner(), "CONVERGE: write down how far you are"
    program = (
        "import os, signal, sys, time\n"
        "def told(*_):\n"
        "    open(sys.argv[1], 'a').write(open(os.environ['EGG_SIGNAL_FILE']).read() + chr(10))\n"
        "signal.signal(signal.SIGUSR1, told)\n"
        "open(sys.argv[1], 'w').close()\n"
        "while True: time.sleep(60)\n"
    )
    runs: dict[str, UUID] = {}

    def begin(name: str) -> None:
        runs[name] = uuid4()
        directory = ground.scene.home / name
        directory.mkdir()
        signal_file = ground.scene.home / "runs" / str(runs[name]) / "signal"
        launch = Launch(
            run_id=runs[name],
            argv=(sys.executable, "-c", program, str(directory / "heard")),
            environment={"EGG_SIGNAL_FILE": str(signal_file)},
            wake=Wake.USR1,
            directory=directory,
        )
        runner.ensure(launch)
        until((directory / "heard").exists)

    def check(name: str) -> None:
        runner.tell(runs[name], words)
        until(lambda: bool((ground.scene.home / name / "heard").read_text()))
        runner.kill(runs[name])
        heard = (ground.scene.home / name / "heard").read_text().splitlines()
        assert set(heard) == {words}
        assert len(heard) <= 2

    at_gaps(begin, lambda name: runner.tell(runs[name], words), check, every=1)


def test_the_telling_of_a_person_may_die_anywhere(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who dies between the post and its note posts again, under the same id; who dies before, at all."""
    asked: dict[str, int] = {}

    def begin(name: str) -> None:
        who = ground.speaker(name)
        with unit_of_work() as session:
            question = Question("Which?", options=("one", "two"))
            asked[name] = questions.ask(session, run_id=who.run_id, question=question, now=utcnow()).id

    def act(name: str) -> None:
        telling.make(Notice(asked[name], 1))

    with receiving(*[200] * MOST) as hook:
        monkeypatch.setenv("EGG_WEBHOOK_URL", f"{hook.url}/egg")
        monkeypatch.setenv("EGG_WEBHOOK_SECRET", SECRET)
        api_scene.forget()

        def check(name: str) -> None:
            # As the reconciler does: again, as long as it is not told. A busy machine may be too slow once.
            later, tries = itertools.count(2, 2), 1
            while attempts := due(timedelta(hours=next(later))):
                for attempt in attempts:
                    lives(partial(telling.make, attempt))
                    tries += 1
            ids = [headers["webhook-id"] for headers, _ in hook.got]
            assert 1 <= ids.count(f"decision-{asked[name]}") <= tries

        at_gaps(begin, act, check, every=1)


def head(clone: Path) -> str:
    """The commit a clone is at."""
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True
    ).stdout.strip()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that is certain to come."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
