"""Where a node's gateway listens: a socket that containers are given, and a port for processes."""

import fcntl
import os
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egg_tasks import descriptors
from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from models.errors import Conflict, Unavailable

LOCK = "gateway.lock"
"""Beside the socket's directory and not in it: a container must not be able to hold it."""
LOOPBACK = "127.0.0.1"
CREDENTIALS = struct.Struct("3i")
"""Of a peer on a Unix socket: its process, user and group (`SO_PEERCRED`)."""
WAITING = 512


@contextmanager
def owned(home: Path) -> Iterator[None]:
    """Be the one gateway of a home; `Conflict` when another is."""
    place = gateway_of(home)
    place.mkdir(mode=0o711, parents=True, exist_ok=True)
    place.chmod(0o711)
    lock = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            way_out = "it is that stack's own, as a rule (`egg status`)"
            raise Conflict(f"a gateway runs in {home} already: {way_out}") from error
        yield
    finally:
        os.close(lock)


def unix_door(home: Path) -> socket.socket:
    """Listen at the socket, made anew and put in place by a rename: there is always the old or the new."""
    place = os.open(gateway_of(home), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # By the descriptor: a path below a long home is longer than an address may be.
        short = Path(f"/proc/self/fd/{place}")
        new = short / f"{GATEWAY_SOCKET}.new"
        new.unlink(missing_ok=True)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.bind(str(new))
        new.chmod(0o666)
        door.listen(WAITING)
        new.rename(short / GATEWAY_SOCKET)
    finally:
        os.close(place)
    return door


def tcp_door(port: int) -> socket.socket:
    """Listen on loopback; `Unavailable` when the port is somebody else's."""
    try:
        return socket.create_server((LOOPBACK, port), backlog=WAITING)
    except OSError as error:
        raise Unavailable(
            f"port {port} of {LOOPBACK} cannot be had ({error.strerror}): give another one"
        ) from error


class Guests:
    """How many connections there are, and of whom: one container cannot take what others need."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all = 0
        self._of: Counter[int] = Counter()

    @classmethod
    def of_this_process(cls) -> "Guests":
        """As many as it may open: each has another to where it leads."""
        return cls((descriptors.limit() - descriptors.KEPT_BACK) // 2)

    @contextmanager
    def entered(self, connection: socket.socket) -> Iterator[bool]:
        """Count a connection while it lasts; whether there is room for it."""
        peer = _peer(connection)
        self._all += 1
        self._of[peer] += 1
        try:
            # Of those who connect by the port nothing is known, so that they share one part.
            yield self._all <= self._most and self._of[peer] <= self._most // 4
        finally:
            self._all -= 1
            self._of[peer] -= 1
            self._of += Counter()


def _peer(connection: socket.socket) -> int:
    """The process at the other end, which is a container's relay; 0 on TCP."""
    if connection.family != socket.AF_UNIX:
        return 0
    return int(
        CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))[0]
    )
