"""An agent that writes what it likes into its run's directory, and does what it can to its shim."""

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from egg_tasks import run_places
from egg_tasks.foreign_files import MIB
from egg_tasks.runners.process import ProcessRunner
from models.schemas.run import Exit, Wake
from tests.integration.runner_scene import end, launch, output, started, until
from tests.integration.test_foreign_files import KINDS, giant, link_to_nothing, pipe, within
from tests.integration.test_process_runner import is_alive, shim_pid

AT_WORK = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
NAMES = (
    "signal.told",
    "shim.lock",
    "agent.pid",
    "outcome.json",
    "stop",
    "started",
    "spec.json",
    "alive",
    "token",
)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[ProcessRunner]:
    runner = ProcessRunner(tmp_path / "runs")
    yield runner
    for run_id in runner.list_live():
        runner.kill(run_id)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else, alone in its session."""
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def identity(pid: int) -> str:
    """What a shim writes down of a process."""
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid} {start} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}\n"


def earlier(runner: ProcessRunner, run_id: UUID) -> Path:
    """A run that an earlier release has laid out and started, all of it where its agent can write."""
    directory = runner.directory(run_id)
    directory.mkdir(parents=True)
    (directory / "spec.json").write_text(json.dumps({"layout": 1}))
    (directory / "started").touch()
    return directory


@pytest.mark.parametrize("leave", KINDS)
def test_whatever_lies_in_a_runs_directory_it_is_told_stopped_and_ended(
    runner: ProcessRunner, leave: Callable[[Path], object]
) -> None:
    run_id = started(runner, AT_WORK)
    directory = runner.directory(run_id)
    for name in NAMES:
        (directory / name).unlink(missing_ok=True)
        leave(directory / name)
    leave(directory / "signal")

    def attend() -> bool:
        runner.tell(run_id, "CONVERGE\n")
        runner.last_active_at(run_id)
        runner.list_silences(since=runner.last_active_at(run_id) or pytest.fail("it has said `up`"))
        assert runner.has_started(run_id)
        assert list(runner.list_newer()) == []
        assert list(runner.list_live()) == [run_id]
        runner.stop(run_id)
        return True

    assert within(60, attend)
    assert end(runner, run_id) == end(runner, run_id)
    assert (end(runner, run_id).exit_code, end(runner, run_id).stopped) == (0, True)
    assert (directory / "signal").read_text() == "CONVERGE\n"


@pytest.mark.parametrize("leave", KINDS)
def test_whatever_lies_where_an_earlier_release_kept_a_run_it_comes_to_an_end(
    runner: ProcessRunner, leave: Callable[[Path], object]
) -> None:
    run_id = uuid4()
    directory = earlier(runner, run_id)
    for name in ("signal.told", "shim.lock", "agent.pid", "outcome.json", "alive", "stop", "output.log"):
        leave(directory / name)

    def attend() -> Exit | None:
        runner.last_active_at(run_id)
        runner.read_log(run_id, offset=0, limit=100)
        runner.stop(run_id)
        runner.kill(run_id)
        return runner.wait(run_id, timeout=timedelta(seconds=1))

    tracemalloc.start()
    ended = within(60, attend)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert ended == Exit(stopped=True)
    assert not (directory / "nothing").exists()
    # Environments of other processes among it.
    assert most < 64 * MIB


def test_an_outcome_of_a_gigabyte_costs_no_memory(runner: ProcessRunner) -> None:
    run_id = started(runner, "echo up; exit 0")
    end(runner, run_id)
    (runner.own(run_id) / "outcome.json").unlink()
    for directory in (runner.own(run_id), runner.directory(run_id)):
        giant(directory / "outcome.json")

    tracemalloc.start()
    ended = end(runner, run_id)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert ended.vanished
    assert most < 64 * MIB


def test_a_stop_that_leads_nowhere_makes_no_file_there(runner: ProcessRunner, tmp_path: Path) -> None:
    now, then = started(runner, AT_WORK), uuid4()
    for directory in (runner.directory(now), earlier(runner, then)):
        (directory / "stop").symlink_to(tmp_path / "elsewhere")

    runner.stop(now)
    runner.stop(then)

    assert end(runner, now).stopped
    assert not (tmp_path / "elsewhere").exists()


def test_a_forged_identity_kills_nobody(runner: ProcessRunner, stranger: subprocess.Popen[bytes]) -> None:
    now, then = started(runner, AT_WORK), uuid4()
    for directory in (runner.directory(now), earlier(runner, then)):
        for name in ("agent.pid", "shim.lock"):
            (directory / name).write_text(identity(stranger.pid))

    os.kill(shim_pid(runner, now), signal.SIGKILL)
    with (runner.directory(then) / "shim.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for run_id in (now, then):
            runner.stop(run_id)
            runner.kill(run_id)

    assert end(runner, now) == Exit(stopped=True)
    assert end(runner, then) == Exit(stopped=True)
    assert stranger.poll() is None


def test_a_lock_that_an_agent_holds_keeps_no_run_alive(runner: ProcessRunner) -> None:
    run_id = started(runner, AT_WORK)
    with (runner.directory(run_id) / "shim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.kill(shim_pid(runner, run_id), signal.SIGKILL)

        assert end(runner, run_id).vanished


def test_nothing_that_an_agent_gets_leads_to_what_is_ours(runner: ProcessRunner) -> None:
    look = (
        "import os; print(dict(os.environ), os.getcwd(), open('/proc/self/cmdline').read());"
        "print(*(os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)));"
        "print(*(os.path.exists(f'/proc/self/fd/{n}') for n in range(3, 200)))"
    )
    run = launch("", argv=(sys.executable, "-I", "-S", "-c", look), token="t0ken")

    runner.ensure(run)
    end(runner, run.run_id)

    said = output(runner, run.run_id)
    assert str(runner.own(run.run_id).parent) not in said
    assert "True" not in said
    assert runner.own(run.run_id).parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in runner.directory(run.run_id).iterdir()) == ["prompt.md", "spec.json"]
    assert json.loads((runner.directory(run.run_id) / "spec.json").read_text()) == {"layout": 2}


@pytest.mark.parametrize("name", ["shim.lock", "agent.pid", "outcome.json", "alive", "stop", "output.log"])
def test_a_directory_where_a_file_of_ours_should_be_is_no_error(runner: ProcessRunner, name: str) -> None:
    run_id = started(runner, AT_WORK)
    os.kill(shim_pid(runner, run_id), signal.SIGKILL)
    until(lambda: list(runner.list_live()) == [])
    path = runner.own(run_id) / name
    path.unlink(missing_ok=True)
    path.mkdir()

    runner.last_active_at(run_id)
    runner.read_log(run_id, offset=0, limit=10)
    runner.stop(run_id)
    runner.kill(run_id)

    assert end(runner, run_id) == Exit(stopped=True)


def test_kill_ends_what_a_stopped_shim_would_have_found(runner: ProcessRunner) -> None:
    """In sessions of their own, without an environment, and without a parent."""
    left = "env -i setsid sh -c '(sleep 604 & echo $!); sleep 605 & echo $!; wait'"
    script = f"{left} & sleep 0.3; echo up; sleep 600"
    run_id = started(runner, script)
    pids = [int(line) for line in output(runner, run_id).split() if line.isdecimal()]
    os.kill(shim_pid(runner, run_id), signal.SIGSTOP)

    runner.kill(run_id)

    assert len(pids) == 2
    assert [pid for pid in pids if is_alive(pid)] == []
    assert end(runner, run_id) == Exit(stopped=True)


@pytest.mark.parametrize(
    "left", ["env -i setsid {} >/dev/null &", "(setsid env -i setsid {} >/dev/null &) &"]
)
def test_an_agent_that_kills_its_shim_leaves_nobody_behind(runner: ProcessRunner, left: str) -> None:
    """However it had left its session, its environment and its parent."""
    sleeper = f"sleep 1000.{uuid4().int}"
    waiting = "until test -e $TMPDIR/go; do sleep 0.05; done"
    script = f"{left.format(sleeper)} sleep 0.5; echo up; {waiting}; kill -KILL $PPID; sleep 600"
    run_id = started(runner, script)
    assert is_running(sleeper)
    (run_places.room(runner.directory(run_id)) / "tmp/go").touch()

    assert end(runner, run_id).vanished
    assert not is_running(sleeper)


HOPS = (
    "import os, sys, time\nif os.fork():\n    time.sleep(0.5)\n    sys.exit(7)\nos.setsid()\n"
    "while True:\n    if os.fork():\n        os._exit(0)"
)


def test_one_that_goes_from_process_to_process_is_gone_with_its_agent(runner: ProcessRunner) -> None:
    mark = f"hop-{uuid4()}"
    run = launch("", argv=(sys.executable, "-I", "-S", "-c", HOPS, mark))

    runner.ensure(run)
    ended = end(runner, run.run_id)

    asked = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    assert (ended.exit_code, ended.is_swept) == (7, True)
    assert mark not in asked.stdout


def test_what_a_shim_saw_no_end_of_is_ended_when_its_run_is(runner: ProcessRunner) -> None:
    run_id = started(runner, "echo up; exit 0")
    end(runner, run_id)
    sleeper = f"1000.{uuid4().int}"
    outcome = runner.own(run_id) / "outcome.json"
    outcome.write_text(json.dumps(json.loads(outcome.read_text()) | {"is_swept": False}))
    left = subprocess.Popen(["sleep", sleeper], env={"EGG_AGENT_RUN_ID": str(run_id)})

    assert end(runner, run_id).exit_code == 0
    assert left.wait(30) == -signal.SIGKILL


def is_running(command: str) -> bool:
    """Whether some process was started so, and has not ended."""
    asked = subprocess.run(["ps", "-eo", "stat,args"], check=True, capture_output=True, text=True)
    return any(line.endswith(f" {command}") and line[0] != "Z" for line in asked.stdout.splitlines())


def test_who_goes_on_writing_to_an_agents_output_does_not_keep_its_run(runner: ProcessRunner) -> None:
    run_id = started(runner, "echo $$; echo up; until test -e $TMPDIR/go; do sleep 0.05; done")
    agent = int(output(runner, run_id).split()[0])
    writer = os.open(f"/proc/{agent}/fd/1", os.O_WRONLY)

    def write() -> None:
        try:
            while True:
                os.write(writer, b"x" * 65536)
        except OSError:
            return

    writing = threading.Thread(target=write)
    writing.start()
    (run_places.room(runner.directory(run_id)) / "tmp/go").touch()

    assert runner.wait(run_id, timeout=timedelta(seconds=60)) is not None
    writing.join(30)
    os.close(writer)


CATCHES = (
    "import signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: print('debugger', flush=True));"
    "print('up', flush=True)\nwhile True: time.sleep(0.05)"
)


@pytest.mark.parametrize("wake", [Wake.NONE, Wake.USR1])
def test_only_who_asks_for_the_signal_gets_it(runner: ProcessRunner, wake: Wake) -> None:
    run_id = started(runner, "", argv=(sys.executable, "-c", CATCHES), wake=wake)

    runner.tell(run_id, "CONVERGE\n")
    if wake is Wake.USR1:
        until(lambda: "debugger" in output(runner, run_id))
    runner.kill(run_id)

    assert (runner.directory(run_id) / "signal").read_text() == "CONVERGE\n"
    assert output(runner, run_id) == "up\n" + "debugger\n" * (wake is Wake.USR1)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_no_debugger_is_opened_in_a_program_on_node(runner: ProcessRunner) -> None:
    program = "console.log('up'); setInterval(() => {}, 1000)"
    run_id = started(runner, "", argv=(shutil.which("node"), "-e", program))

    runner.tell(run_id, "CONVERGE\n")
    runner.kill(run_id)

    assert output(runner, run_id) == "up\n"


def test_an_agent_goes_first_when_memory_is_short_and_leaves_some_of_what_is_limited(
    runner: ProcessRunner,
) -> None:
    look = (
        "import json, time, resource as r; print(json.dumps([int(open('/proc/self/oom_score_adj').read()),"
        "*map(r.getrlimit, (r.RLIMIT_CORE, r.RLIMIT_NOFILE, r.RLIMIT_FSIZE, r.RLIMIT_NPROC))]));"
        "print('up', flush=True); time.sleep(600)"
    )
    run_id = started(runner, "", argv=(sys.executable, "-c", look))

    score, core, files, size, processes = json.loads(output(runner, run_id).splitlines()[0])
    shim = shim_pid(runner, run_id)
    assert score == min(int(Path(f"/proc/{shim}/oom_score_adj").read_text()) + 500, 1000)
    assert core == [0, 0]
    assert 0 < files[0] <= files[1] <= 65536
    assert size == list(resource.prlimit(shim, resource.RLIMIT_FSIZE))
    assert processes[1] == resource.prlimit(shim, resource.RLIMIT_NPROC)[1] * 3 // 4


def test_an_agent_leaves_the_processors_to_whoever_serves_others(runner: ProcessRunner) -> None:
    look = (
        "import os, pathlib, time; own = pathlib.Path('/proc/self/autogroup');"
        "print(os.nice(0), own.read_text() if own.exists() else 'nice 5'); "
        "print('up', flush=True); time.sleep(600)"
    )
    run_id = started(runner, "", argv=(sys.executable, "-c", look))

    nice, *_, nice_of_its_session = output(runner, run_id).split()[:-1]

    assert int(nice) == os.getpriority(os.PRIO_PROCESS, shim_pid(runner, run_id)) + 5
    assert nice_of_its_session == "5"


def test_homes_that_are_none_make_way_and_deep_ones_stop_nobody(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    home = tmp_path / "roles/home"
    home.parent.mkdir()
    home.symlink_to(tmp_path / "elsewhere")
    deep = "i=0; while [ $i -lt 3000 ]; do mkdir d; cd d; i=$((i+1)); done"
    run = launch(f"cd $TMPDIR; {deep}; echo up", home=home)

    runner.ensure(run)

    assert end(runner, run.run_id).exit_code == 0
    assert not home.is_symlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    subprocess.run(["rm", "-rf", run_places.room(runner.directory(run.run_id))], check=True)


@pytest.mark.parametrize("leave", [pipe, link_to_nothing, Path.mkdir, giant])
def test_a_profile_that_is_none_of_ours_is_left_as_it_is(
    runner: ProcessRunner, tmp_path: Path, leave: Callable[[Path], object]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    leave(home / ".profile")
    before = (home / ".profile").lstat()
    run = launch("true", home=home)

    def ensure() -> bool:
        runner.ensure(run)
        return True

    assert within(30, ensure)

    assert end(runner, run.run_id).exit_code == 0
    assert (home / ".profile").lstat().st_ino == before.st_ino
    assert not (home / "nothing").exists()
