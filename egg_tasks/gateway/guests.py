"""Connections to the gateway, counted as whose they are: nobody takes the places that others need."""

import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from egg_tasks import descriptors
from models.errors import TooMany

CREDENTIALS = struct.Struct("3i")
"""Of a peer on a Unix socket: its process, user and group (`SO_PEERCRED`)."""
CONTAINER = re.compile(r"[0-9a-f]{64}")
"""What an engine calls a container, in whichever of its groups the kernel counts it (cgroup v1 and v2)."""
PARTS = 4
"""Each has one of so many at most."""
STRANGER = ""
"""Of whom nothing is known: who came by the port, or whose process is gone or of another namespace."""


class Guest:
    """One connection: a container's or a stranger's, until it is known to be an agent run's."""

    def __init__(self, counts: Counter[str], most: int, whose: str) -> None:
        self._counts = counts
        self._most = most
        self._whose = whose
        counts[whose] += 1

    @property
    def has_room(self) -> bool:
        """Whether it is within the part of whom it is counted for."""
        return self._counts[self._whose] <= self._most

    def is_of(self, run_id: UUID) -> None:
        """Count it for an agent run from now on, as its token says; `TooMany` if that has its part."""
        whose = str(run_id)
        if whose == self._whose:
            return
        if self._counts[whose] >= self._most:
            raise TooMany(f"this run has {self._most} connections to the gateway already", {"retry_after": 1})
        self._counts[whose] += 1
        self.leave()
        self._whose = whose

    def leave(self) -> None:
        """Count it for nobody any more."""
        self._counts[self._whose] -= 1
        if not self._counts[self._whose]:
            del self._counts[self._whose]


class Guests:
    """How many connections there are, and whose."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.counts: Counter[str] = Counter()

    @classmethod
    def of_this_process(cls) -> "Guests":
        """As many as it may open: each has another to where it leads."""
        return cls((descriptors.limit() - descriptors.KEPT_BACK) // 2)

    @contextmanager
    def entered(self, connection: socket.socket) -> Iterator[Guest | None]:
        """Count a connection while it lasts; None if there is no room for it."""
        guest = Guest(self.counts, self._most // PARTS, _whose(connection))
        try:
            yield guest if guest.has_room and self.counts.total() <= self._most else None
        finally:
            guest.leave()


def _whose(connection: socket.socket) -> str:
    """The container whose process is at the other end; a process's own place among the kernel's groups."""
    if connection.family != socket.AF_UNIX:
        return STRANGER
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    try:
        return container_in(Path(f"/proc/{CREDENTIALS.unpack(told)[0]}/cgroup").read_text())
    except OSError:
        return STRANGER


def container_in(groups: str) -> str:
    """The innermost container that a process's groups name; all of them, where none does."""
    found = CONTAINER.findall(groups)
    return found[-1] if found else groups
