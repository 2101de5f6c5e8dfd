"""Looks at the clone of a live container, which is paused meanwhile, whoever looks and in whichever process.

Whoever attends a run has a door open: a socket in the directory of the run that is ours. A look is a
connection there, and ends with it. So the engine is asked by the attending worker alone, and nobody who dies
leaves a look behind. While a container is paused its lock is held: one that is paused and whose lock is free
was left so by a worker that died, and goes on as soon as another finds it.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import structlog

from egg_tasks.foreign_files import ENTERING
from models.errors import EggError, Unavailable

log = structlog.get_logger()

DOOR, LOCK = "look.sock", "look.lock"
STILL, ASKED = b".", b"?"
LONGEST_ANSWER = 4096
LONGEST = 150.0
"""Seconds that a look may take at the very most; what it reads is bounded by much less (EGG_LOOK_SECONDS)."""
PATIENCE = 5.0
"""Seconds for which a worker that attends the run is waited for: it may be just being replaced."""
RETRY_SECONDS = 0.02

Check = Callable[[], None]
"""Raises `Unavailable` when the container may have moved since the look began."""
Pausing = Callable[[], AbstractContextManager[Check]]


@contextmanager
def open_door(own: Path, pausing: Pausing) -> Iterator[None]:
    """Have looks at a run let in, one at a time, while the context lasts; its end cuts the last one off."""
    door = _Door(_listening(own), pausing)
    try:
        yield
    finally:
        door.close()


@contextmanager
def at(own: Path, *, lives: Callable[[], bool]) -> Iterator[Check]:
    """Look at a run while the context lasts; of one that is not alive nothing moves, and nobody is asked.

    `Unavailable` when nobody attends it, or whoever does cannot pause it.
    """
    deadline = time.monotonic() + PATIENCE
    while (connection := _connected(own)) is None:
        if not lives():
            yield _nothing
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                "no worker attends your run just now, and your clone can be looked at by none other: say it "
                "again in a moment"
            )
        time.sleep(RETRY_SECONDS)
    with connection:
        _need_still(connection)

        def check() -> None:
            with suppress(OSError):
                connection.sendall(ASKED)
            _need_still(connection)

        yield check


@contextmanager
def alone(own: Path) -> Iterator[None]:
    """Have nobody look at a run meanwhile; `Unavailable` when somebody does who does not get to an end."""
    deadline = time.monotonic() + LONGEST
    while True:
        with if_free(own) as is_ours:
            if is_ours:
                yield
                return
        if time.monotonic() > deadline:
            raise Unavailable(f"agent run {own.name} is being looked at, which comes to no end")
        time.sleep(RETRY_SECONDS)


@contextmanager
def if_free(own: Path) -> Iterator[bool]:
    """Hold the lock of a run's looks if nobody does; whether that is so."""
    descriptor = os.open(own / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = True
        except BlockingIOError:
            is_ours = False
        yield is_ours
    finally:
        os.close(descriptor)


class _Door:
    """One thread that lets looks in."""

    def __init__(self, listening: socket.socket, pausing: Pausing) -> None:
        self._listening, self._pausing = listening, pausing
        self._looking: socket.socket | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="looks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_closed = True
        for each in (self._listening, self._looking):
            if each is not None:
                # This wakes who waits for it, which to close it does not.
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._thread.join(LONGEST)
        self._listening.close()

    def _serve(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._listening.accept()
            except OSError as error:
                if not self._is_closed:
                    log.warning("look.not_let_in", error=str(error))
                    time.sleep(RETRY_SECONDS)
                continue
            with connection:
                self._looking = connection
                if not self._is_closed:
                    self._let_look(connection)
                self._looking = None

    def _let_look(self, connection: socket.socket) -> None:
        connection.settimeout(LONGEST)
        try:
            with suppress(OSError), self._pausing() as check:
                connection.sendall(STILL)
                while connection.recv(len(ASKED)):
                    check()
                    connection.sendall(STILL)
        except EggError as error:
            with suppress(OSError):
                connection.sendall(error.message.encode()[:LONGEST_ANSWER])
        except Exception:
            # The next one is to be let in all the same.
            log.exception("look.failed")


def _need_still(connection: socket.socket) -> None:
    try:
        answer = connection.recv(LONGEST_ANSWER)
    except OSError:
        answer = b""
    if answer != STILL:
        why = answer.decode(errors="replace") or "the worker that attends your run has gone meanwhile"
        raise Unavailable(f"your clone cannot be looked at: {why}; say it again in a moment")


def _listening(own: Path) -> socket.socket:
    """Listen at the run's socket, made anew and put in place by a rename."""
    with _short(own) as short:
        new = f"{short}/{DOOR}.new"
        with suppress(FileNotFoundError):
            os.unlink(new)  # noqa: PTH108  as the socket takes it
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(new)
        listening.listen()
        os.rename(new, f"{short}/{DOOR}")  # noqa: PTH104
    return listening


def _connected(own: Path) -> socket.socket | None:
    """A connection to who attends the run, or None if nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(LONGEST)
    try:
        with _short(own) as short:
            connection.connect(f"{short}/{DOOR}")
    except OSError:
        connection.close()
        return None
    return connection


@contextmanager
def _short(own: Path) -> Iterator[str]:
    """A path to a directory with room for a socket's name, wherever it is."""
    descriptor = os.open(own, ENTERING | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _nothing() -> None:
    """What stands still for good."""
