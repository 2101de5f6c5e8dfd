"""Owners of leases: worker processes, told apart for good by when they started."""

import os
from functools import cache
from pathlib import Path


@cache
def own_name(node: str) -> str:
    """This process as the owner of leases: its node, process id and start time."""
    return f"{node}/{os.getpid()}/{_started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether the worker that held a lease on this machine is certainly gone."""
    _, pid, started = owner.rsplit("/", 2)
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # Field 22, counted behind the command's name, which may hold anything.
    return stat.rpartition(")")[2].split()[19]
