"""The agents on this machine, for a program of the local stack's that is no worker."""

from pathlib import Path

from egg_tasks.run_places import RUNS
from egg_tasks.runners.process import ProcessRunner


def runner(home: Path) -> ProcessRunner:
    """Whoever runs the agents of the stack whose directory is *home*."""
    return ProcessRunner(home / RUNS)
