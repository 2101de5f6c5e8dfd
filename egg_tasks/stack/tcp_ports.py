"""Loopback ports: free or not, whose, and one of our own."""

import atexit
import errno
import socket
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from models.errors import Unavailable

LOOPBACK = "127.0.0.1"
LISTENING = "0A"
PATIENCE_SECONDS = 2.0
TRIED = 100

_doors: dict[int, socket.socket] = {}
"""Ports this process has taken, for as long as it lives."""


def need_loopback() -> None:
    """Raise `Unavailable` where nothing reaches 127.0.0.1, on which API and agents meet."""
    try:
        # To bind alone succeeds on an interface that is down.
        with (
            socket.create_server((LOOPBACK, 0)) as door,
            socket.create_connection(door.getsockname(), PATIENCE_SECONDS),
        ):
            pass
    except OSError as error:
        raise Unavailable(
            f"nothing can be reached on {LOOPBACK} of this machine ({error.strerror or error}), where the API"
            " listens: bring the loopback interface up (ip link set lo up)"
        ) from error


def is_free(port: int) -> bool:
    """Whether a server could listen on *port* of loopback now."""
    with socket.socket() as door:
        # what a closed connection leaves behind is no obstacle to uvicorn either
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def fault(host: str, port: int) -> str:
    """Why no server can listen on *port* of *host*, to go on after it; empty when one can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        return f"is taken by {holder(port)}" if taken else f"cannot be had ({error.strerror or error})"
    return ""


def becomes_free(port: int) -> bool:
    """Whether *port* is free, or soon: a server that was just killed holds its port a moment longer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def choose(preferred: int, *, other_than: Collection[int] = ()) -> int:
    """Take *preferred* or one of the next ports that is free, else one the system picks; which it is."""
    for port in range(preferred, min(preferred + TRIED, 65536)):
        if port not in other_than and (port in _doors or _bound(port)):
            return port
    return _bound(0) or preferred


def take(port: int) -> None:
    """Keep other stacks from choosing *port* while its server is not listening yet, or not at the moment."""
    if port not in _doors:
        _bound(port)


def _bound(port: int) -> int:
    """Bind *port* and keep it, open to servers of our own; 0 if it is not free."""
    door = socket.socket()
    try:
        door.bind((LOOPBACK, port))
    except OSError:
        door.close()
        return 0
    # Only after the bind, which so fails where another stack has bound; a server that listens may still come.
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    number = int(door.getsockname()[1])
    _doors[number] = door
    return number


@atexit.register
def _leave() -> None:
    for door in _doors.values():
        door.close()


def holder(port: int) -> str:
    """Return who listens on *port*, as far as we may see: `name (process 123)` or `another program`."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port)}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (entry / "fd").iterdir()):
                return f"{(entry / 'comm').read_text().strip()} (process {entry.name})"
    return "another program"


def _listening(port: int) -> list[str]:
    """The inodes of the sockets that listen on *port*."""
    found = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] == LISTENING:
                    found.append(fields[9])
    return found
