"""Connections to the gateway, counted as whose they are: nobody takes the places that others need."""

import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
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
MOST_IN_A_PART = 256
"""However many there are: what each connection keeps in memory is the machine's."""
STRANGER = ""
"""Of whom nothing is known: who came by the port, or whose process is gone or of another namespace."""


class Guest:
    """One connection: a container's or a stranger's, until it is known to be an agent run's.

    A container's counts for that as well from then on: both have one part, and not one each.
    """

    def __init__(self, guests: "Guests", whose: str, show_out: Callable[[], None]) -> None:
        self.whose = whose
        self.container = whose if CONTAINER.fullmatch(whose) else None
        self.show_out = show_out
        self._guests = guests

    def is_of(self, run_id: UUID) -> None:
        """Count it for an agent run from now on, as its token says; `TooMany` if that has its part."""
        if self.whose != str(run_id):
            self._guests.move(self, str(run_id))


class Guests:
    """How many connections there are, and whose."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.counts: Counter[str] = Counter()
        self.of_containers: Counter[str] = Counter()
        """All connections of each, whosever they are known to be."""
        self._strangers: dict[Guest, None] = {}
        """In the order they came."""

    @classmethod
    def of_this_process(cls) -> "Guests":
        """As many as it may open: each has another to where it leads."""
        return cls((descriptors.limit() - descriptors.KEPT_BACK) // 2)

    @property
    def part(self) -> int:
        """How many each may have."""
        return min(max(1, self._most // PARTS), MOST_IN_A_PART)

    @contextmanager
    def entered(self, connection: socket.socket, show_out: Callable[[], None]) -> Iterator[Guest | None]:
        """Count a connection while it lasts; None if there is no room for it.

        A stranger has the place of the one who has been one for longest, whose connection *show_out* ends:
        who has a token says so at once, so that nobody is kept out by those who say nothing.
        """
        guest = Guest(self, _whose(connection), show_out)
        if guest.whose == STRANGER and self.counts[STRANGER] >= self.part:
            oldest = next(iter(self._strangers))
            self._leave(oldest)
            oldest.show_out()
        if self._has_its_part(guest) or self.counts.total() >= self._most:
            yield None
            return
        self._enter(guest, guest.whose)
        if guest.container:
            self.of_containers[guest.container] += 1
        try:
            yield guest
        finally:
            self._leave(guest)
            if guest.container:
                _take_one(self.of_containers, guest.container)

    def move(self, guest: Guest, whose: str) -> None:
        """Count a connection for another; `TooMany` if that one has its part."""
        if self.counts[whose] >= self.part:
            raise TooMany(f"this run has {self.part} connections to the gateway already", {"retry_after": 1})
        self._leave(guest)
        self._enter(guest, whose)

    def _has_its_part(self, guest: Guest) -> bool:
        of_container = self.of_containers[guest.container] if guest.container else 0
        return max(self.counts[guest.whose], of_container) >= self.part

    def _enter(self, guest: Guest, whose: str) -> None:
        guest.whose = whose
        self.counts[whose] += 1
        if whose == STRANGER:
            self._strangers[guest] = None

    def _leave(self, guest: Guest) -> None:
        """Count it no more; nothing for one that was shown out already."""
        if guest.whose == STRANGER:
            if guest not in self._strangers:
                return
            del self._strangers[guest]
        _take_one(self.counts, guest.whose)


def _take_one(counts: Counter[str], whose: str) -> None:
    """Count one less, and nobody without any."""
    counts[whose] -= 1
    if not counts[whose]:
        del counts[whose]


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
