"""Many agents at once: what the orchestrator needs for each while they work."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence

from sqlalchemy import func, select

from benchmarks import bare, usage
from benchmarks.engine_work import client, document, submit, wait
from benchmarks.figures import Figure
from benchmarks.stack import Stack
from benchmarks.usage import Usage
from egg_tasks.database import unit_of_work
from models.states import RunStatus
from models.tables import AgentRun

SLEEPS = ("sleep", "3600")
OURS = ("uvicorn", "egg_tasks.reconciler", "celery", "egg_tasks.stack")
SHIM = "shim.py"
GROUP = "agents at once"
START_SECONDS = 600.0


def measure(stack: Stack, agents: int, pid: int, *, seconds: float) -> list[Figure]:
    """Have so many agents sleep, with the engine, with bare Celery (process *pid*), and as plain children."""
    before = usage.of(_orchestrator(stack), seconds=seconds)
    began = time.monotonic()
    submit(stack, document(stack, "crowd", SLEEPS, roles=agents, phases=1))
    wait(lambda: _running() == agents, seconds=START_SECONDS, why=f"{agents} running agents")
    took = time.monotonic() - began
    time.sleep(seconds)
    during = usage.of(_orchestrator(stack), seconds=seconds)
    shims = [usage.proportional(pid) for pid in _shims()]
    client(stack).post("/pipelines/crowd/cancel", repeatable=True)
    wait(lambda: not _open(), seconds=START_SECONDS, why="the end of all agents")
    celery, celery_took = _celery(pid, agents, seconds)
    alone = _alone(agents)
    each = (during.megabytes - before.megabytes) / agents
    return [
        Figure(
            GROUP,
            f"{agents} agents: memory of the orchestrator, each",
            each,
            "MB",
            "bare Celery",
            (celery[1].megabytes - celery[0].megabytes) / agents,
        ),
        Figure(
            GROUP, f"{agents} agents: one processor while they work", during.busy, "%", "nobody", before.busy
        ),
        Figure(
            GROUP,
            f"{agents} agents: one processor while they work",
            during.busy,
            "%",
            "bare Celery",
            celery[1].busy,
        ),
        Figure(GROUP, f"{agents} agents: all running after", took, "s", "bare Celery", celery_took),
        Figure(GROUP, f"{agents} agents: all running after", took, "s", "plain subprocess", alone),
        Figure(GROUP, "an agent's own supervisor (shim), its share of memory", sum(shims) / len(shims), "MB"),
    ]


def _orchestrator(stack: Stack) -> list[int]:
    """The supervisor and our own processes; database, broker and agents are not among them."""
    found = usage.descendants(stack.manifest.supervisor_pid)
    return [pid for pid in found if SHIM not in usage.command(pid) and _is_ours(pid, stack)]


def _is_ours(pid: int, stack: Stack) -> bool:
    line = usage.command(pid)
    return pid == stack.manifest.supervisor_pid or any(word in line for word in OURS)


def _shims() -> Sequence[int]:
    """The shims of the live runs; they outlive whoever started them."""
    with unit_of_work() as session:
        ids = [str(run) for run in session.scalars(select(AgentRun.id).where(AgentRun.closed_at.is_(None)))]
    return [
        pid
        for pid in usage.everybody()
        if SHIM in (line := usage.command(pid)) and any(i in line for i in ids)
    ]


def _running() -> int:
    with unit_of_work() as session:
        query = select(func.count()).where(AgentRun.status == RunStatus.RUNNING)
        return session.scalars(query).one()


def _open() -> int:
    with unit_of_work() as session:
        return session.scalars(select(func.count()).where(AgentRun.closed_at.is_(None))).one()


def _celery(pid: int, agents: int, seconds: float) -> tuple[tuple[Usage, Usage], float]:
    sleeping = ("sleep", str(3 * seconds + 60 + agents / 10))
    before = usage.of([pid], seconds=seconds)
    began = time.monotonic()
    bare.phase.apply_async((list(sleeping), agents, 1))
    wait(lambda: len(_sleepers(pid)) == agents, seconds=START_SECONDS, why="bare Celery's agents")
    took = time.monotonic() - began
    time.sleep(seconds)
    during = usage.of([pid], seconds=seconds)
    for child in _sleepers(pid):
        os.kill(child, signal.SIGTERM)
    bare.times(agents + 1, seconds=START_SECONDS)
    return (before, during), took


def _sleepers(pid: int) -> list[int]:
    return [child for child in usage.descendants(pid)[1:] if usage.command(child).startswith("sleep")]


def _alone(agents: int) -> float:
    began = time.monotonic()
    running = [subprocess.Popen(SLEEPS) for _ in range(agents)]
    took = time.monotonic() - began
    for process in running:
        process.terminate()
        process.wait()
    return took
