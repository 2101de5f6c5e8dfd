"""HOME and TMPDIR of agents: room for sockets, the role's and the run's own, gone when nobody needs them."""

import os
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from egg_tasks import run_places
from egg_tasks.runners import room
from egg_tasks.runners.process import ProcessRunner
from models.errors import Unavailable
from tests.integration.runner_scene import end, launch, output, started
from tests.integration.test_process_runner import shim_pid

BIND = """
import multiprocessing, os, socket
with multiprocessing.Manager() as manager:
    print(dict(manager.dict(answer=42)))
os.makedirs(os.environ["HOME"] + "/.gnupg", exist_ok=True)
door = socket.socket(socket.AF_UNIX)
door.bind(os.environ["HOME"] + "/.gnupg/S.gpg-agent.browser")
"""


@pytest.fixture(params=[32, 54, 120])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An EGG_HOME of so many bytes."""
    top = str(tmp_path_factory.mktemp("h"))
    link = Path(f"/tmp/egg-test-{os.getpid()}")
    link.unlink(missing_ok=True)
    link.symlink_to(top)
    path = Path(f"{link}/{'x' * (request.param - len(str(link)) - 1)}")
    assert len(str(path)) == request.param
    yield path
    link.unlink()


@pytest.mark.parametrize("role", ["reviewer_documentation", None])
def test_a_socket_fits_into_home_and_tmpdir(home: Path, role: str | None) -> None:
    runner = ProcessRunner(home / "runs")
    roles = home / "roles/a-pipeline-with-a-long-name-as-people-give-it" / (role or "") / "home"
    run = launch("", argv=(sys.executable, "-c", BIND), home=roles if role else None)

    runner.ensure(run)
    ended = end(runner, run.run_id)

    assert (ended.exit_code, output(runner, run.run_id)) == (0, "{'answer': 42}\n")


def test_what_a_role_leaves_in_its_home_is_there_in_its_next_run(home: Path) -> None:
    runner = ProcessRunner(home / "runs")
    runs = [launch("cat ~/kept; echo kept >~/kept", home=home / "roles/p/coder/home") for _ in range(2)]

    for run in runs:
        runner.ensure(run)
        end(runner, run.run_id)

    assert output(runner, runs[1].run_id) == "kept\n"
    assert (home / "roles/p/coder/home").stat().st_mode & 0o777 == 0o700


def test_a_login_shell_has_the_agents_path_and_an_agents_own_profile_stays(home: Path) -> None:
    runner = ProcessRunner(home / "runs")
    script = "bash -lc 'echo $PATH'; echo 'export PATH=/mine' >~/.profile"
    runs = [
        launch(script, home=home / "roles/p/coder/home", environment={"PATH": f"{first}:/usr/bin:/bin"})
        for first in ("/a b", "/new")
    ]

    for run in runs:
        runner.ensure(run)
        end(runner, run.run_id)

    assert [output(runner, run.run_id) for run in runs] == ["/a b:/usr/bin:/bin\n", "/mine\n"]


def test_a_profile_that_is_no_file_keeps_nobody_from_starting(home: Path) -> None:
    runner = ProcessRunner(home / "runs")
    where = home / "roles/p/coder/home"
    (where / ".profile").mkdir(parents=True)
    run = launch("echo up", home=where)

    runner.ensure(run)

    assert end(runner, run.run_id).exit_code == 0


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_what_is_temporary_goes_with_the_run(home: Path, how: str) -> None:
    runner = ProcessRunner(home / "runs")
    run_id = started(
        runner, "echo x >$TMPDIR/left; echo up; test " + ("1" if how == "ended" else "; sleep 60")
    )
    temporary = run_places.room(runner.directory(run_id))
    if how == "killed":
        assert (temporary / "tmp/left").exists()
        os.kill(shim_pid(runner, run_id), signal.SIGKILL)

    end(runner, run_id)

    assert not temporary.exists()


def test_the_late_end_of_one_run_does_not_kill_the_next_of_its_role(home: Path) -> None:
    runner = ProcessRunner(home / "runs")
    first, second = (
        launch(
            "echo up; sleep 60", home=home / "roles/p/coder/home", environment={"PATH": os.environ["PATH"]}
        )
        for _ in range(2)
    )
    for run in (first, second):
        runner.ensure(run)
    os.kill(shim_pid(runner, first.run_id), signal.SIGKILL)

    assert end(runner, first.run_id).vanished
    assert runner.wait(second.run_id, timeout=timedelta(seconds=0.5)) is None
    runner.kill(second.run_id)


def test_a_run_whose_shim_was_killed_leaves_nobody_behind_in_a_session_of_his_own(home: Path) -> None:
    runner = ProcessRunner(home / "runs")
    run_id = started(runner, "env -u HOME -u TMPDIR setsid sleep 603 & echo $!; echo up; wait")
    pid = int(output(runner, run_id).split()[0])
    os.kill(shim_pid(runner, run_id), signal.SIGKILL)

    end(runner, run_id)

    assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()


def test_somebody_elses_directory_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"egg-{os.geteuid()}").symlink_to("/")
    monkeypatch.setattr(run_places, "SHORTEST", tmp_path)
    runner = ProcessRunner(tmp_path / ("x" * 100) / "runs")

    with pytest.raises(Unavailable, match="somebody else's"):
        runner.ensure(launch("true"))


def test_a_home_that_moved_is_linked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_places, "SHORTEST", tmp_path / "t")
    (tmp_path / "t").mkdir()
    long = tmp_path / ("x" * 90) / "home"
    link = room.shortened(tmp_path / ("x" * 90), long)
    link.unlink()
    link.symlink_to("/nowhere")

    assert room.shortened(tmp_path / ("x" * 90), long).readlink() == long


def test_a_short_path_to_a_home_goes_once_that_is_gone(home: Path) -> None:
    kept, gone = (home / "roles" / name / "coder" / ("x" * 60) for name in ("kept", "gone"))
    links = []
    for path in (kept, gone):
        path.mkdir(parents=True)
        links.append(room.shortened(home, path))
    (links[0].parent / "strange").symlink_to("/nowhere")
    gone.rmdir()

    ProcessRunner(home / "runs").tidy()

    assert [os.path.lexists(link) for link in links] == [True, False]
    assert links[0].resolve() == kept.resolve()
    assert (links[0].parent / "strange").is_symlink(), "it may be another's"
    (links[0].parent / "strange").unlink()
