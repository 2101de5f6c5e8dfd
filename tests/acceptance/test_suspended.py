"""A machine that sleeps while an agent works, and one on which only the reconciler does nothing."""

import os
import signal
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

SOFT_SECONDS = 18
STOPPED_SECONDS = 22
CONFIG = {
    "consensus_timeout_minutes": SOFT_SECONDS / 60,
    "finalize_minutes": 0.1,
    "agent_idle_timeout_minutes": SOFT_SECONDS / 60,
}
WORKER = """
touch "$STAGE/{name}"
for _ in 1 2 3 4 5 6; do echo at work; sleep 1; done
egg signal readiness --state READY --reason worked
"""


def stop(egg: Egg, stage: Stage, name: str, pids: Iterable[int]) -> None:
    """Have processes stand still for longer than the deadlines, once the agent works."""
    egg.wait((stage.directory / name).exists, why=f"the agent of {name}")
    stopped = list(pids)
    assert stopped
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in stopped:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        if number is signal.SIGSTOP:
            time.sleep(STOPPED_SECONDS)


@pytest.fixture
def stage(egg: Egg, shop: Path, tmp_path: Path) -> Stage:
    return Stage(egg, shop, tmp_path)


def test_an_agent_has_its_time_however_long_the_machine_sleeps(egg: Egg, stage: Stage) -> None:
    stage.play("sleeps", {"coder": WORKER.format(name="sleeps")}, config=CONFIG)
    egg.wait((stage.directory / "sleeps").exists, why="the agent")

    stop(egg, stage, "sleeps", egg.processes())

    assert stage.end("sleeps") == ("complete", "consensus")
    assert stage.events("sleeps", "convergence.requested") == []
    assert len(stage.runs("sleeps", "coder")) == 1


def test_deadlines_pass_while_only_the_reconciler_stands_still(egg: Egg, stage: Stage) -> None:
    stage.play("wakes", {"coder": WORKER.format(name="wakes").replace("sleep 1", "sleep 9")}, config=CONFIG)
    egg.wait((stage.directory / "wakes").exists, why="the agent")

    stop(egg, stage, "wakes", egg.processes("egg_tasks.reconciler"))
    egg.wait_for_event("wakes", "convergence.requested")

    begun, asked = (
        datetime.fromisoformat(stage.events("wakes", kind)[0]["timestamp"])
        for kind in ("phase.started", "convergence.requested")
    )
    assert (asked - begun).total_seconds() < SOFT_SECONDS + STOPPED_SECONDS
    egg.run("pipeline", "cancel", "wakes")
