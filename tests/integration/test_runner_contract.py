"""What every `Runner` promises, whoever runs the agents and however they are isolated.

A runner joins by one line in `RUNNERS`. Nothing here knows how one works: a run's files are where its layout
says, and what an agent does is seen in its output and in its clone.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from egg_tasks import run_places
from egg_tasks.ports import Runner
from egg_tasks.runners import engine
from egg_tasks.runners.docker import DockerRunner
from egg_tasks.runners.process import ProcessRunner
from models.schemas.run import Container, Exit, Launch, Wake
from tests.engine import IMAGE
from tests.integration.runner_scene import AT_ONCE, SOON, end, end_all, launch, output, until

RUNNERS: Mapping[str, Callable[[Path], Runner]] = {
    "process": lambda home: ProcessRunner(home / run_places.RUNS),
    "docker": lambda home: DockerRunner(home, engine.at(os.environ["EGG_DOCKER_HOST"])),
}
"""How each runner is made that runs the agents of a home; two of one home are as two workers."""
CONTAINERS = {"docker": Container(image=IMAGE, memory=256 << 20, pids=64)}
"""Where the agents of those runners are that have containers."""

BEAT = "while :; do echo x >> beat; sleep 0.02; done"
DEAF = f"trap '' TERM; echo up; {BEAT}"
ELSEWHERE = """
import sys
from pathlib import Path
from models.schemas.run import Launch
from tests.integration.test_runner_contract import RUNNERS
RUNNERS[sys.argv[1]](Path(sys.argv[2])).ensure(Launch.model_validate_json(sys.argv[3]))
"""


@dataclass(frozen=True)
class Ground:
    """A home whose agents one kind of runner runs."""

    kind: str
    home: Path
    runner: Runner

    def another(self) -> Runner:
        """Another runner of the same runs, which knows nothing of the first."""
        return RUNNERS[self.kind](self.home)

    def launch(self, script: str, **fields: object) -> Launch:
        """The launch of a script in a clone of its own."""
        run_id = uuid4()
        layout = self.runner.layout(run_id)
        layout.clone.mkdir(mode=0o700, parents=True)
        places = {"directory": layout.inside.directory, "container": CONTAINERS.get(self.kind)}
        return launch(script, **{"run_id": run_id, **places, **fields})

    def started(self, script: str, **fields: object) -> UUID:
        """Start a script in a clone of its own, which says `up` when it is ready."""
        run = self.launch(script, **fields)
        self.runner.ensure(run)
        until(lambda: "up\n" in output(self.runner, run.run_id))
        return run.run_id

    def beats(self, run_id: UUID) -> int:
        """How often something of a run has beaten so far."""
        beat = self.runner.layout(run_id).clone / "beat"
        return beat.stat().st_size if beat.exists() else 0

    def is_still(self, run_id: UUID) -> bool:
        """Whether nothing of a run beats any more."""
        before = self.beats(run_id)
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(["sleep", "60"], check=True, timeout=0.2)
        return self.beats(run_id) == before


@pytest.fixture(params=RUNNERS)
def ground(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ground]:
    if request.param in CONTAINERS:
        own = request.getfixturevalue("container_engine")
        monkeypatch.setenv("EGG_DOCKER_HOST", own.url)
    runner = RUNNERS[request.param](tmp_path)
    yield Ground(request.param, tmp_path, runner)
    end_all(runner)


@pytest.mark.parametrize("code", [0, 3, 255])
def test_output_and_exit_code_arrive(ground: Ground, code: int) -> None:
    run = ground.launch(f"echo out; echo err >&2; exit {code}")

    ground.runner.ensure(run)
    ended = end(ground.runner, run.run_id)

    assert (ended.exit_code, ended.signal, ended.stopped, ended.error) == (code, None, False, None)
    assert sorted(output(ground.runner, run.run_id).split()) == ["err", "out"]


def test_who_ends_by_a_signal_of_his_own_was_not_stopped(ground: Ground) -> None:
    run = ground.launch("kill -9 $$")

    ground.runner.ensure(run)
    ended = end(ground.runner, run.run_id)

    assert (ended.exit_code, ended.signal, ended.stopped) == (None, signal.SIGKILL, False)


def test_an_end_has_its_times_and_stays_what_it_is(ground: Ground) -> None:
    before, run = datetime.now(UTC), ground.launch("true")

    ground.runner.ensure(run)
    ended = end(ground.runner, run.run_id)

    assert ended.started_at is not None
    assert ended.ended_at is not None
    assert before <= ended.started_at <= ended.ended_at <= datetime.now(UTC)
    ground.runner.stop(run.run_id)
    ground.runner.kill(run.run_id)
    assert end(ground.another(), run.run_id) == ended


def test_an_agent_finds_its_things_where_its_layout_says(ground: Ground) -> None:
    run = ground.launch("placeholder", prompt="Grüße\nfrom the prompt")
    inside = ground.runner.layout(run.run_id).inside
    script = f"cat; echo; cat {inside.prompt}; echo; pwd; touch made; cat {inside.signal} 2>&1 || true"

    ground.runner.ensure(run.model_copy(update={"argv": ("sh", "-c", script)}))
    assert end(ground.runner, run.run_id).exit_code == 0

    said = "Grüße\nfrom the prompt\nGrüße\nfrom the prompt\n" + f"{inside.directory}\n"
    assert output(ground.runner, run.run_id) == f"{said}cat: {inside.signal}: No such file or directory\n"
    assert (ground.runner.layout(run.run_id).clone / "made").exists()


def test_a_layout_says_the_same_before_during_and_after_a_run(ground: Ground) -> None:
    run = ground.launch("true")
    layouts = [ground.runner.layout(run.run_id)]

    ground.runner.ensure(run)
    layouts.append(ground.another().layout(run.run_id))
    end(ground.runner, run.run_id)
    layouts.append(ground.runner.layout(run.run_id))

    assert layouts == layouts[:1] * 3
    checkout = layouts[0].given / "checkout-0123456789ab"
    of_check = ground.runner.layout(run.run_id, directory=checkout)
    assert of_check.inside.directory != layouts[0].inside.directory
    assert not layouts[0].own.is_relative_to(layouts[0].given), "no agent is led to what is ours"


def test_a_run_starts_once_whoever_asks(ground: Ground) -> None:
    run = ground.launch("echo x >> starts; sleep 0.1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda runner: runner.ensure(run), [ground.runner, ground.another()] * 4))
    end(ground.runner, run.run_id)
    ground.runner.ensure(run)
    end(ground.runner, run.run_id)

    assert (ground.runner.layout(run.run_id).clone / "starts").read_text() == "x\n"
    assert ground.another().has_started(run.run_id)


def test_an_agent_outlives_its_starter_and_another_process_gets_its_exit(ground: Ground) -> None:
    run = ground.launch("until test -e go; do sleep 0.02; done; exit 7")
    argv = [sys.executable, "-c", ELSEWHERE, ground.kind, str(ground.home), run.model_dump_json()]

    subprocess.run(argv, check=True, cwd=Path(__file__).parents[2])
    assert ground.runner.wait(run.run_id, timeout=AT_ONCE) is None
    assert list(ground.runner.list_live()) == [run.run_id]
    (ground.runner.layout(run.run_id).clone / "go").touch()

    assert end(ground.runner, run.run_id).exit_code == 7
    assert list(ground.another().list_live()) == []


def test_who_waits_is_told_at_once_or_when_his_time_is_up(ground: Ground) -> None:
    run_id = ground.started("echo up; until test -e go; do sleep 0.02; done")

    assert ground.runner.wait(run_id, timeout=timedelta(milliseconds=50)) is None
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(each.wait, run_id, timeout=SOON) for each in (ground.runner, ground.another())]
        (ground.runner.layout(run_id).clone / "go").touch()

    assert waits[0].result() == waits[1].result() == end(ground.runner, run_id)


def test_stop_reaches_all_of_its_processes_and_the_end_says_stopped(ground: Ground) -> None:
    child = "trap 'echo child; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    run_id = ground.started(
        f'trap : TERM; sh -c "{child}" & while ! wait $!; do :; done; kill -TERM $$; exit 4'
    )

    ground.another().stop(run_id)
    ended = end(ground.runner, run_id)

    assert (ended.exit_code, ended.stopped) == (4, True)
    assert "child\n" in output(ground.runner, run_id)


def test_an_agent_may_save_its_work_when_stopped(ground: Ground) -> None:
    run_id = ground.started("trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done")

    ground.runner.stop(run_id)
    ended = end(ground.runner, run_id)

    assert (ended.exit_code, ended.stopped) == (0, True)
    assert "saved\n" in output(ground.runner, run_id)


def test_kill_ends_what_ignores_stop_and_is_over_when_it_returns(ground: Ground) -> None:
    run_id = ground.started(DEAF)

    ground.another().stop(run_id)
    assert ground.runner.wait(run_id, timeout=timedelta(milliseconds=200)) is None
    ground.another().kill(run_id)

    ended = ground.runner.wait(run_id, timeout=AT_ONCE)
    assert ended is not None
    assert (ended.signal, ended.stopped) == (signal.SIGKILL, True)
    assert ground.is_still(run_id)


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_an_agent_leaves_behind_ends_with_it(ground: Ground, *, is_killed: bool) -> None:
    """In a session of its own, with nothing in its environment, deaf to what asks it to end."""
    left = f"env -i setsid sh -c \"trap '' TERM HUP; {BEAT}\" >/dev/null 2>&1 </dev/null &"
    run_id = ground.started(
        f"{left} until test -s beat; do sleep 0.02; done; echo up" + ("; sleep 60" if is_killed else "")
    )
    if is_killed:
        ground.runner.kill(run_id)

    ended = end(ground.runner, run_id)

    assert (ended.exit_code, ended.stopped) == ((None, True) if is_killed else (0, False))
    assert ground.beats(run_id)
    assert ground.is_still(run_id)


def test_a_run_stopped_before_it_starts_never_starts(ground: Ground) -> None:
    run = ground.launch("touch ran")

    ground.runner.stop(run.run_id)
    ground.another().ensure(run)
    ended = end(ground.runner, run.run_id)

    assert (ended.signal, ended.stopped) == (signal.SIGTERM, True)
    assert not (ground.runner.layout(run.run_id).clone / "ran").exists()


def test_a_program_that_does_not_exist_is_an_outcome(ground: Ground) -> None:
    run = ground.launch("", argv=("no-such-program",))

    ground.runner.ensure(run)

    ended = end(ground.runner, run.run_id)
    assert (ended.is_missing, ended.vanished, ended.exit_code) == (True, False, None)
    assert "no-such-program" in (ended.error or "")


def test_a_run_nobody_started_has_vanished_and_said_nothing(ground: Ground) -> None:
    run_id = uuid4()

    assert end(ground.runner, run_id) == Exit()
    assert output(ground.runner, run_id) == ""
    assert ground.runner.last_active_at(run_id) is None
    assert not ground.runner.has_started(run_id)
    assert list(ground.runner.list_live()) == []
    ground.runner.tell(run_id, "CONVERGE\n")
    ground.runner.forget(run_id)


def test_activity_is_the_last_output(ground: Ground) -> None:
    silent, talking = ground.launch("true"), ground.launch("echo x")
    before = datetime.now(UTC) - timedelta(seconds=1)

    for run in (silent, talking):
        ground.runner.ensure(run)
        end(ground.runner, run.run_id)

    last = ground.another().last_active_at(talking.run_id)
    assert ground.runner.last_active_at(silent.run_id) is None
    assert last is not None
    assert before <= last <= datetime.now(UTC) + timedelta(seconds=1)


def test_a_log_is_read_from_any_byte_on(ground: Ground) -> None:
    run = ground.launch("printf 0123456789")

    ground.runner.ensure(run)
    end(ground.runner, run.run_id)

    asked = [(0, 4), (4, 100), (10, 10), (2**62, 1)]
    found = [ground.another().read_log(run.run_id, offset=offset, limit=limit) for offset, limit in asked]
    assert found == [b"0123", b"456789", b"", b""]


def test_one_that_catches_the_signal_is_told_each_thing_once(ground: Ground) -> None:
    run = ground.launch("placeholder", wake=Wake.USR1)
    told = ground.runner.layout(run.run_id).inside.signal
    script = f"trap 'cat {told}' USR1; echo up; while :; do sleep 0.05; done"
    ground.runner.ensure(run.model_copy(update={"argv": ("sh", "-c", script)}))
    until(lambda: output(ground.runner, run.run_id) == "up\n")

    ground.runner.tell(run.run_id, "CONVERGE\nsoon\n")
    until(lambda: "soon" in output(ground.runner, run.run_id))
    ground.another().tell(run.run_id, "CONVERGE\nsoon\n")
    ground.runner.tell(run.run_id, "FINALIZE\nnow\n")
    until(lambda: "now" in output(ground.runner, run.run_id))

    assert output(ground.runner, run.run_id) == "up\nCONVERGE\nsoon\nFINALIZE\nnow\n"


def test_one_that_did_not_ask_for_the_signal_lives_on_and_finds_the_file(ground: Ground) -> None:
    run = ground.launch("placeholder")
    told = ground.runner.layout(run.run_id).inside.signal
    script = f"echo up; until test -e {told}; do sleep 0.05; done; cat {told}"
    ground.runner.ensure(run.model_copy(update={"argv": ("sh", "-c", script)}))
    until(lambda: output(ground.runner, run.run_id) == "up\n")

    ground.runner.tell(run.run_id, "CONVERGE\n")

    assert end(ground.runner, run.run_id).exit_code == 0
    assert output(ground.runner, run.run_id) == "up\nCONVERGE\n"


def test_what_is_hidden_is_in_the_environment_and_not_in_the_output(ground: Ground) -> None:
    run = ground.launch('test "${#KEY}" = 14 && echo "a $KEY b"', secrets={"KEY": "hush-hush-hush"})

    ground.runner.ensure(run)

    assert end(ground.runner, run.run_id).exit_code == 0
    assert output(ground.runner, run.run_id) == "a [KEY is hidden] b\n"
    files = [path for path in ground.home.rglob("*") if path.is_file()]
    assert not [path for path in files if b"hush" in path.read_bytes()]


def test_of_a_forgotten_run_nothing_is_left_but_what_its_agent_was_given(ground: Ground) -> None:
    run_id = ground.started("echo up; echo x > $TMPDIR/left")
    end(ground.runner, run_id)
    layout = ground.runner.layout(run_id)

    ground.runner.forget(run_id)
    ground.another().forget(run_id)
    ground.runner.tidy()

    assert output(ground.runner, run_id) == ""
    assert not ground.runner.has_started(run_id)
    assert not any(path.exists() for path in (layout.own, layout.temporary, layout.log))
    assert layout.clone.is_dir()


def test_who_lives_says_when_its_supervisor_ticked(ground: Ground) -> None:
    run_id = ground.started("echo up; sleep 60")
    long_ago = datetime.now(UTC) - timedelta(hours=1)

    until(lambda: len(ground.another().list_silences(since=long_ago)) == 1)
    (silences,) = ground.runner.list_silences(since=long_ago)
    assert list(ground.runner.list_live()) == [run_id]

    assert silences[-1].began_at > long_ago
    assert ground.runner.list_silences(since=datetime.now(UTC) + timedelta(hours=1)) == []
