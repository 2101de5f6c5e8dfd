"""Agents as real processes under real shims: what they promise beside what every runner does."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from egg_tasks import run_places
from egg_tasks.runners.process import ProcessRunner
from models.errors import NotSet, Unavailable
from models.schemas.run import Exit, Wake
from tests.integration.runner_scene import AT_ONCE, SOON, end, end_all, launch, output, started, until


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[ProcessRunner]:
    runner = ProcessRunner(tmp_path / "runs")
    yield runner
    end_all(runner)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def shim_pid(runner: ProcessRunner, run_id: UUID) -> int:
    """Return the pid of a run's shim."""
    return int((runner.own(run_id) / "shim.lock").read_text().split()[0])


def children() -> set[int]:
    """Return the pids of this process's children, the unburied among them."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_where_all_needs_a_container_nothing_starts_as_a_process(tmp_path: Path) -> None:
    closed = ProcessRunner(tmp_path / "runs", is_refused=True)
    run = launch("touch $HOME/was-here")

    with pytest.raises(NotSet, match="say `isolation: docker`"):
        closed.ensure(run)

    assert not closed.has_started(run.run_id)
    assert not (tmp_path / "runs").exists()


def test_the_environment_is_what_was_given_and_the_token(
    runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_DATABASE_URL", "postgresql://ours")
    run = launch("", argv=("/usr/bin/env",), environment={"A": "ä b=c"}, token="t0ken")

    runner.ensure(run)
    end(runner, run.run_id)

    own = run_places.room(runner.directory(run.run_id))
    assert set(output(runner, run.run_id).splitlines()) == {
        "A=ä b=c",
        "EGG_SESSION_TOKEN=t0ken",
        f"EGG_AGENT_RUN_ID={run.run_id}",
        f"HOME={own}/home",
        f"TMPDIR={own}/tmp",
    }


def test_an_agent_has_no_descriptor_and_no_signal_setting_of_ours(runner: ProcessRunner) -> None:
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)  # noqa: FBT003 # as os has it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    look = "import os; print(*os.listdir('/proc/self/fd')); print(open('/proc/self/status').read())"
    run = launch("", argv=(sys.executable, "-I", "-S", "-c", look))

    try:
        runner.ensure(run)
        end(runner, run.run_id)
    finally:
        os.close(leaked)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    descriptors, *status = output(runner, run.run_id).splitlines()
    assert set(descriptors.split()) == {"0", "1", "2", "3"}  # 3 is the listing itself
    assert "SigBlk:\t0000000000000000" in status


def test_the_token_is_in_a_private_file_and_nowhere_else(runner: ProcessRunner) -> None:
    run = launch("echo up; sleep 60", token="t0ken")

    runner.ensure(run)
    until(lambda: output(runner, run.run_id) == "up\n")

    own = runner.own(run.run_id)
    holding = [path.name for path in own.iterdir() if path.is_file() and "t0ken" in path.read_text()]
    assert holding == ["token"]
    assert (own / "token").stat().st_mode & 0o777 == 0o600
    assert own.stat().st_mode & 0o777 == 0o700
    shim = Path(f"/proc/{shim_pid(runner, run.run_id)}")
    assert "t0ken" not in (shim / "cmdline").read_text() + (shim / "environ").read_text()


@pytest.mark.parametrize("hidden", ["", "env -i "])
def test_with_its_shim_killed_a_run_has_vanished_and_its_agent_is_dead(
    runner: ProcessRunner, hidden: str
) -> None:
    run_id = started(runner, f"{hidden}sleep 601 & echo $$ $!; (setsid sleep 602 & echo $!); echo up; wait")
    pids = [int(word) for word in output(runner, run_id).split()[:-1]]

    os.kill(shim_pid(runner, run_id), signal.SIGKILL)
    ended = end(runner, run_id)

    assert ended.vanished
    assert not ended.stopped
    assert [pid for pid in pids if is_alive(pid)] == []


def parts(home: Path) -> list[Path]:
    """What a home keeps of its runs."""
    return [home / "runs", home / "shims"]


@pytest.mark.parametrize("shim_lives", [True, False])
def test_in_a_copy_a_run_has_vanished_and_its_processes_are_left_alone(
    runner: ProcessRunner, tmp_path: Path, shim_lives: bool
) -> None:
    run_id = started(runner, "(setsid sleep 605 & echo $!); echo up; wait; exec sleep 606")
    pid = int(output(runner, run_id).split()[0])
    if not shim_lives:
        os.kill(shim_pid(runner, run_id), signal.SIGKILL)
    (tmp_path / "copy").mkdir()
    subprocess.run(["cp", "-a", *map(str, parts(tmp_path)), str(tmp_path / "copy")], check=True)

    of_the_copy = end(ProcessRunner(tmp_path / "copy/runs"), run_id)
    was_alive = is_alive(pid)

    assert of_the_copy.vanished
    assert was_alive
    assert (runner.wait(run_id, timeout=AT_ONCE if shim_lives else SOON) is None) == shim_lives
    assert is_alive(pid) == shim_lives


def test_where_it_is_moved_to_a_run_goes_on(runner: ProcessRunner, tmp_path: Path) -> None:
    run_id = started(runner, "echo up; while [ ! -e go ]; do sleep 0.1; done; exit 7")
    (tmp_path / "moved").mkdir()
    for part in parts(tmp_path):
        part.rename(tmp_path / "moved" / part.name)
    moved = ProcessRunner(tmp_path / "moved/runs")

    assert moved.wait(run_id, timeout=AT_ONCE) is None
    moved.stop(run_id)

    assert end(moved, run_id).stopped


@pytest.mark.parametrize(("since", "is_killed"), [(0, True), (1 << 30, False)])
def test_a_stranger_with_the_number_of_a_vanished_agent_is_left_alone(
    runner: ProcessRunner, since: int, is_killed: bool
) -> None:
    """The numbers of processes come round: a session whose leader is gone may be anybody's by then."""
    run_id = started(runner, "echo up; exec sleep 603")
    os.kill(shim_pid(runner, run_id), signal.SIGKILL)
    end(runner, run_id)
    leader = subprocess.Popen(
        ["sh", "-c", "env -i sleep 604 > /dev/null & echo $!"], stdout=subprocess.PIPE, start_new_session=True
    )
    stranger = int(leader.communicate()[0])
    written = runner.own(run_id) / "agent.pid"
    _, start, boot, forks = written.read_text().split()
    written.write_text(f"{leader.pid} {start} {boot} {int(forks) - since}")

    end(runner, run_id)

    assert is_alive(stranger) != is_killed
    if not is_killed:
        os.kill(stranger, signal.SIGKILL)


def test_a_vanished_run_that_was_to_stop_says_so(runner: ProcessRunner) -> None:
    run_id = started(runner, "trap '' TERM; echo up; while :; do sleep 0.1; done")
    runner.stop(run_id)

    os.kill(shim_pid(runner, run_id), signal.SIGKILL)

    assert end(runner, run_id) == Exit(stopped=True)


def test_an_outcome_that_cannot_be_read_is_as_good_as_none(runner: ProcessRunner) -> None:
    run = launch("exit 0")
    runner.ensure(run)
    end(runner, run.run_id)

    (runner.own(run.run_id) / "outcome.json").write_text("forged")

    assert end(runner, run.run_id).vanished


def test_a_vanished_run_is_not_started_again(runner: ProcessRunner) -> None:
    run = launch("echo up; sleep 60")
    runner.ensure(run)
    os.kill(shim_pid(runner, run.run_id), signal.SIGKILL)
    end(runner, run.run_id)

    runner.ensure(run)

    assert end(runner, run.run_id).vanished


def test_kill_ends_a_run_whose_shim_is_stuck(runner: ProcessRunner) -> None:
    run_id = started(runner, "echo $$; echo up; sleep 603; :")
    os.kill(shim_pid(runner, run_id), signal.SIGSTOP)

    runner.kill(run_id)

    assert end(runner, run_id) == Exit(stopped=True)
    assert not is_alive(int(output(runner, run_id).split()[0]))


def test_stop_at_any_moment_of_the_start_ends_as_stopped(runner: ProcessRunner) -> None:
    runs = [launch("sleep 60") for _ in range(12)]

    with ThreadPoolExecutor(4) as pool:
        for run in runs:
            pool.submit(runner.ensure, run)
            until(lambda run=run: runner.has_started(run.run_id))  # type: ignore[misc]
            runner.stop(run.run_id)

    ends = [end(runner, run.run_id) for run in runs]
    assert {(ended.signal, ended.stopped) for ended in ends} == {(signal.SIGTERM, True)}


def test_orphans_are_dead_after_the_end(runner: ProcessRunner) -> None:
    run = launch("(setsid sh -c '(sleep 604 & echo $!); sleep 605 & echo $!; wait' &) ; sleep 0.3")

    runner.ensure(run)
    ended = end(runner, run.run_id)

    pids = [int(line) for line in output(runner, run.run_id).splitlines()]
    assert ended.exit_code == 0
    assert len(pids) == 2
    assert [pid for pid in pids if is_alive(pid)] == []


@pytest.mark.parametrize(
    ("program", "text", "mode", "error"),
    [
        ("no-such-program", None, 0, "no such program on PATH: no-such-program"),
        ("./lint.sh", None, 0, "no such file: ./lint.sh"),
        ("./lint.sh", "#!/bin/sh\n", 0o644, "not executable: ./lint.sh"),
        ("./lint.sh", "#!/no/sh\n", 0o755, "the interpreter in the first line of ./lint.sh does not exist"),
        ("./lint.sh", "true\n", 0o755, "neither a binary nor a script with a #! line: ./lint.sh"),
    ],
)
def test_a_program_that_cannot_be_run_is_an_outcome(  # noqa: PLR0917 # pytest passes them by name
    runner: ProcessRunner, tmp_path: Path, program: str, text: str | None, mode: int, error: str
) -> None:
    if text is not None:
        (tmp_path / program).write_text(text)
        (tmp_path / program).chmod(mode)
    run = launch("", argv=(program,), directory=tmp_path)

    runner.ensure(run)

    ended = end(runner, run.run_id)
    assert (ended.error, ended.is_missing, ended.vanished) == (error, True, False)


def test_a_directory_that_is_missing_is_an_outcome(runner: ProcessRunner, tmp_path: Path) -> None:
    run = launch("true", directory=tmp_path / "gone")

    runner.ensure(run)

    assert (
        end(runner, run.run_id).error == f"cannot enter directory {tmp_path}/gone: No such file or directory"
    )


def test_of_output_beyond_the_limit_the_end_is_kept_and_what_is_cut_is_said(runner: ProcessRunner) -> None:
    run = launch("echo the beginning; head -c 20000000 /dev/zero; echo the end; exit 5")

    runner.ensure(run)

    assert end(runner, run.run_id).exit_code == 5
    log = runner.read_log(run.run_id, offset=0, limit=1 << 26)
    cut = len(b"the beginning\nthe end\n") + 20_000_000 - (16 << 20) - (256 << 10)
    assert log.startswith(b"the beginning\n\0\0")
    assert log.endswith(b"\0\0the end\n")
    assert f"\0\n[egg: {cut} bytes are cut here]\n\0".encode() in log
    assert len(log) < 17 << 20


def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    run = launch("true")

    with pytest.raises(Unavailable, match=f"cannot start agent run {run.run_id} .* Not a directory"):
        ProcessRunner(tmp_path / "runs").ensure(run)


def test_a_shim_that_fails_before_its_mark_is_unavailable(runner: ProcessRunner) -> None:
    run = launch("true")
    (runner.own(run.run_id) / "outcome.json.new").mkdir(parents=True)

    with pytest.raises(Unavailable, match=r"ended with status 1 \(see .*shim\.log\)"):
        runner.ensure(run)

    assert not runner.has_started(run.run_id)


def test_fifty_runs_at_once_leave_no_descriptor_and_no_zombie(runner: ProcessRunner) -> None:
    runs = [launch(f"sleep 0.2; exit {number}") for number in range(50)]
    descriptors, before = len(os.listdir("/proc/self/fd")), children()  # noqa: PTH208 # a count

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(runner.ensure, runs))
        codes = list(pool.map(lambda run: end(runner, run.run_id).exit_code, runs))

    assert codes == list(range(50))
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208 # a count
    until(lambda: end(runner, runs[0].run_id).exit_code == 0 and children() <= before)


def traps(runner: ProcessRunner) -> str:
    """A script that prints its signal file when it is told."""
    signal_file = runner.directory(uuid4()).parent / "$EGG_AGENT_RUN_ID" / "signal"
    return f"trap 'cat {signal_file}' USR1; echo up; while :; do sleep 0.05; done"


def test_of_an_agents_processes_only_those_that_catch_it_are_signalled(runner: ProcessRunner) -> None:
    run_id = started(
        runner,
        f"sleep 100 & child=$!; {traps(runner).replace('cat', 'kill -0 $child && cat')}",
        wake=Wake.USR1,
    )

    runner.tell(run_id, "CONVERGE\n")

    until(lambda: output(runner, run_id) == "up\nCONVERGE\n")


def test_one_that_has_not_started_is_told_nothing(runner: ProcessRunner) -> None:
    run_id = uuid4()

    runner.tell(run_id, "CONVERGE\n")

    assert not runner.directory(run_id).exists()


def test_one_whose_directory_is_gone_cannot_be_told(runner: ProcessRunner) -> None:
    run_id = started(runner, "echo up; sleep 100")
    shutil.rmtree(runner.directory(run_id))

    with pytest.raises(Unavailable, match="cannot tell agent run"):
        runner.tell(run_id, "CONVERGE\n")


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ('echo "a $KEY b $KEY"', "a [KEY is hidden] b [KEY is hidden]\n"),
        ('printf hush-hu; sleep 0.2; printf "sh-hush\\nhush-hu"', "[KEY is hidden]\nhush-hu"),
        ('printf "$KEY"; exit 3', "[KEY is hidden]"),
        ('printf "hush-hush-hushhush-hu"', "[KEY is hidden]hush-hu"),
        ('echo "$PEM" | tail -n 1; echo "$SHORT"', "[PEM is hidden]\nyes\n"),
        ("echo hus; sleep 0.2; echo h", "hus\nh\n"),
    ],
)
def test_secrets_are_hidden_in_the_output_however_it_comes(
    runner: ProcessRunner, script: str, shown: str
) -> None:
    secrets = {"KEY": "hush-hush-hush", "PEM": "begin-of-it\nsecond-line", "SHORT": "yes"}
    run = launch(script, secrets=secrets)

    runner.ensure(run)
    end(runner, run.run_id)

    assert output(runner, run.run_id) == shown
