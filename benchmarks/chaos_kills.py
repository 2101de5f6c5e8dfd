"""Kills with -9: each kind of process of a stack, and all of them at once."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from benchmarks.stack import EGG
from egg_tasks.database import unit_of_work
from egg_tasks.stack import lifecycle
from models.errors import Unavailable
from models.states import RunStatus
from models.tables import AgentRun

CHILDREN = {
    "worker control": b"control@",
    "worker agents": b"agents@",
    "valkey": b"valkey-server",
    "postgres": b"postgres",
    "api": b"uvicorn",
    "reconciler": b"egg_tasks.reconciler",
}
"""The supervisor's children, and what their command lines hold."""
OTHERS = ("supervisor", "shim", "everything", "everything and the agents")
KINDS = (*CHILDREN, *OTHERS)
AIMS = {"worker agents": 10.0, "everything": 20.0}
PATIENCE_SECONDS = 90.0
LOOK_AGAIN_SECONDS = 0.1


@dataclass
class Killer:
    """Whoever kills, what was killed how often, and how long agents then went unattended."""

    home: Path
    dice: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    reattached: dict[str, list[float]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def kill(self, kind: str) -> None:
        """Kill one kind; where agents lose their worker, wait until each has another one."""
        held = leases() if kind in AIMS else {}
        killed_at = time.monotonic()
        if kind == "valkey" and self.dice.random() < 0.5:  # noqa: PLR2004 - half of the time
            kind = "valkey, emptied"
        if not self._kill(kind):
            return
        self.killed[kind] += 1
        if kind == "supervisor" or kind.startswith("everything"):
            self.up()
        if held:
            self._measure(kind, held, killed_at)

    def up(self) -> None:
        """Bring the stack up as a person does."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "EGG_HOME": str(self.home)}
        subprocess.run([EGG, "up"], env=environment, check=True, capture_output=True)

    def _kill(self, kind: str) -> bool:
        if kind == "supervisor":
            found = lifecycle.find(self.home)
            return _end([found.supervisor_pid] if found and found.supervisor_pid else [])
        if kind == "shim":
            shims = list(processes(self.home, b"shim.py"))
            return _end([self.dice.choice(shims)] if shims else [])
        if kind.startswith("everything"):
            with_agents = kind != "everything"
            # The supervisor first, or it starts again what is killed next.
            first = _end(list(processes(self.home, b"egg_tasks.stack.supervisor")))
            pids = [pid for pid in processes(self.home) if with_agents or not is_agent(pid)]
            ended = _end(pids) or first
            if self.dice.random() < 0.5:  # noqa: PLR2004 - half of the time
                self._empty()
            return ended
        name = kind.removesuffix(", emptied")
        ended = _end(list(self._children(CHILDREN[name])))
        if kind != name:
            self._empty()
        return ended

    def _children(self, word: bytes) -> Iterator[int]:
        found = lifecycle.find(self.home)
        supervisor = found.supervisor_pid if found else None
        with suppress(OSError):
            for child in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
                if word in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield int(child)

    def _empty(self) -> None:
        """Take the dead broker's rows away, at once, since its successor is about to start."""
        log, taken = self.home / "valkey/appendonlydir", self.home / "valkey/taken"
        with suppress(FileNotFoundError):
            log.rename(taken)
        shutil.rmtree(taken, ignore_errors=True)

    def _measure(self, kind: str, held: Mapping[UUID, str], killed_at: float) -> None:
        while waiting := unattended(held):
            if time.monotonic() - killed_at > PATIENCE_SECONDS:
                self.violations.append(f"{len(waiting)} runs without a worker after {kind} was killed")
                return
            time.sleep(LOOK_AGAIN_SECONDS)
        self.reattached.setdefault(kind, []).append(time.monotonic() - killed_at)


def leases() -> dict[UUID, str]:
    """The live agents, each with the worker that attends it."""
    query = select(AgentRun.id, AgentRun.lease_owner)
    query = query.where(AgentRun.status == RunStatus.RUNNING, AgentRun.lease_owner.is_not(None))
    try:
        with unit_of_work() as session:
            return {run_id: str(owner) for run_id, owner in session.execute(query)}
    except Unavailable:
        return {}


def unattended(held: Mapping[UUID, str]) -> set[UUID]:
    """Those of *held* that no other worker has taken up or brought to their end."""
    query = select(AgentRun.id, AgentRun.lease_owner).where(
        AgentRun.id.in_(held), AgentRun.closed_at.is_(None)
    )
    try:
        with unit_of_work() as session:
            return {run_id for run_id, owner in session.execute(query) if owner in {None, held[run_id]}}
    except Unavailable:
        return set(held)


def processes(home: Path, word: bytes = b"") -> Iterator[int]:
    """The processes of a stack, its agents among them, whose command line holds *word*."""
    mark = os.fsencode(home)
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            is_ours = mark in line or mark in (entry / "environ").read_bytes()
            if line and is_ours and word in line and int(entry.name) != os.getpid():
                yield int(entry.name)


def is_agent(pid: int) -> bool:
    """Whether it is an agent or the shim of one."""
    with suppress(OSError):
        entry = Path(f"/proc/{pid}")
        line, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        return b"shim.py" in line or b"EGG_AGENT_RUN_ID=" in environment
    return False


def _end(pids: list[int]) -> bool:
    ended = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            ended += 1
    return ended > 0
