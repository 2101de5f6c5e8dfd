"""Runs of scripts, by whatever runner: launched, waited for, listened to."""

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

from egg_tasks.ports import Runner
from models.schemas.run import Exit, Launch

SOON = timedelta(seconds=30)
AT_ONCE = timedelta(0)
PATH = "/usr/local/bin:/usr/bin:/bin"


def launch(script: str, **fields: object) -> Launch:
    """Return the launch of a shell script."""
    return Launch.model_validate(
        {"run_id": uuid4(), "argv": ("sh", "-c", script), "environment": {"PATH": PATH}, "directory": "/"}
        | fields
    )


def end(runner: Runner, run_id: UUID) -> Exit:
    """Wait for a run's end."""
    ended = runner.wait(run_id, timeout=SOON)
    assert ended is not None
    return ended


def output(runner: Runner, run_id: UUID) -> str:
    """Return all that a run has said."""
    return runner.read_log(run_id, offset=0, limit=1 << 20).decode()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def started(runner: Runner, script: str, **fields: object) -> UUID:
    """Start a script that says `up` when it is ready, and return then."""
    run = launch(script, **fields)
    runner.ensure(run)
    until(lambda: "up\n" in output(runner, run.run_id))
    return run.run_id


def end_all(runner: Runner) -> None:
    """Leave no run behind."""
    for run_id in runner.list_live():
        runner.kill(run_id)
        runner.wait(run_id, timeout=SOON)
