"""The agents on this machine, for a program of the local stack's that is no worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from egg_tasks.run_places import RUNS
from egg_tasks.runners import container_files
from egg_tasks.runners.process import ProcessRunner
from models.foreign import counted

if TYPE_CHECKING:
    from egg_tasks.runners.docker import DockerRunner

PATIENCE_SECONDS = 10
"""A person waits for the answer of an engine."""


@dataclass(frozen=True)
class LocalRuns:
    """Which agents live on this machine, as far as it can be known."""

    processes: Sequence[UUID]
    containers: Sequence[UUID]
    unknown: Sequence[UUID] = ()
    """Those in containers of which nobody can say it, since their engine does not answer."""
    why: str = ""
    """What the engines of those are asked in vain for."""

    @property
    def live(self) -> int:
        """How many are known to live."""
        return len(self.processes) + len(self.containers)

    @property
    def doubt(self) -> str:
        """What is to be said of those that nobody can ask; empty where all is known."""
        if not self.unknown:
            return ""
        agents = counted(len(self.unknown), "agent", "agents")
        return f"whether {agents} in containers still run is not known: {self.why}"


def processes(home: Path) -> ProcessRunner:
    """Whoever runs as processes the agents of the stack whose directory is *home*."""
    return ProcessRunner(home / RUNS)


def look(home: Path) -> LocalRuns:
    """Which agents of the stack whose directory is *home* live; no engine is asked where none is to be."""
    live = list(processes(home).list_live())
    if not any(container_files.list_unended(home / RUNS)):
        return LocalRuns(live, ())
    found, unknown = _containers(home).look()
    why = "; ".join(dict.fromkeys(error.message for error in unknown.values()))
    return LocalRuns(live, list(found), unknown=list(unknown), why=why)


def stop(home: Path, runs: LocalRuns) -> None:
    """Ask the agents that live to end; `EngineAway` where the engine of some has gone meanwhile."""
    for run_id in runs.processes:
        processes(home).stop(run_id)
    for run_id in runs.containers:
        _containers(home).stop(run_id)


def _containers(home: Path) -> "DockerRunner":
    """Whoever runs them in containers: of each run it knows itself in which engine."""
    # The engine's library takes longer to import than a person should wait who has no container.
    from egg_tasks.runners import engine
    from egg_tasks.runners.docker import DockerRunner

    return DockerRunner(home, engine.at(engine.SOCKET, seconds=PATIENCE_SECONDS))
