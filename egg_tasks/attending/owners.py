"""Owners of leases: attendances in worker processes, which are told apart by when they started."""

import os
import secrets
from pathlib import Path


def new_name(node: str) -> str:
    """One attendance as the owner of a lease: its node, process id and start time, and a word of its own."""
    return f"{node}/{os.getpid()}/{_started(os.getpid())}/{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """Whether the worker that held a lease on this machine is certainly gone."""
    _, pid, started, _ = owner.rsplit("/", 3)
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # Field 22, counted behind the command's name, which may hold anything.
    return stat.rpartition(")")[2].split()[19]
