"""Where a node's gateway listens: a socket that containers are given, and a port for processes."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from models.errors import Conflict, Unavailable

LOCK = "gateway.lock"
"""Beside the socket's directory and not in it: a container must not be able to hold it."""
LOOPBACK = "127.0.0.1"
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
