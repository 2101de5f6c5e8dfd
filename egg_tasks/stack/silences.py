"""Finds programs of ours that live but do not get on: a server that answers nobody, a loop that stands still.

Time is counted in looks of the supervisor's and not by a clock, which runs on while all of us stand still.
"""

import errno
import select
import socket
from collections.abc import Sequence

from egg_tasks.stack.processes import Child

LOOKS_A_MINUTE = 240
PERIOD = LOOKS_A_MINUTE // 12
PATIENCE = LOOKS_A_MINUTE // 4
MISSES = 2
"""So that a server is replaced before those who wait for it lose their patience, a minute."""

MISSES_WHILE_STARTING = 30
SILENCE = 5 * LOOKS_A_MINUTE
"""A round of the reconciler's may be long: each statement of it may wait 30 s for a lock."""

PATH = "/api/v1/health"


class Knocks:
    """Asks a server at its door now and then, one question at a time; never waits for the answer."""

    def __init__(self, *, period: int = PERIOD, patience: int = PATIENCE) -> None:
        self._period, self._patience = period, patience
        self._pid = self._looks = self._misses = 0
        self._is_up = False
        self._question: Ping | None = None

    def hung(self, running: Sequence[tuple[Child, float]]) -> list[Child]:
        """Return the server if it has left several questions in a row unanswered."""
        child = next((child for child, _ in running if child.program.door), None)
        if child is None or child.pid != self._pid:
            self.stop()
            self._pid, self._misses, self._is_up = child.pid if child else 0, 0, False
            return []
        self._looks += 1
        if self._question is None and self._looks >= self._period:
            self._question, self._looks = Ping(child.program.door or 0), 0
        elif self._question is not None:
            self._listen(self._question)
        return [child] if self._misses >= (MISSES if self._is_up else MISSES_WHILE_STARTING) else []

    def stop(self) -> None:
        """Give up the question that is under way."""
        if self._question is not None:
            self._question.close()
        self._question, self._looks = None, 0

    def _listen(self, question: "Ping") -> None:
        is_answered = question.is_answered()
        is_late = self._looks >= self._patience
        if is_answered:
            self._misses, self._is_up = 0, True
        elif is_answered is False or is_late:
            self._misses += 1
        else:
            return
        self.stop()
        if is_late:
            # It has had its time: the next question needs no pause.
            self._looks = self._period


class Ping:
    """One request to a server on loopback, for a sign of life."""

    def __init__(self, port: int) -> None:
        self._request = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        self._connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._connection.settimeout(0)
        # What refuses it is met when it is used.
        self._connection.connect_ex(("127.0.0.1", port))

    def is_answered(self) -> bool | None:
        """Ask as soon as that is possible; whether the server gets on, whatever it says. None: not known yet.

        One that is crowded hangs up on us; that, too, only somebody does who gets on.
        """
        try:
            _, writable, _ = select.select([], [self._connection], [], 0)
            if writable and self._request:
                self._request = self._request[self._connection.send(self._request) :]
            self._connection.recv(64)
        except BlockingIOError:
            return None
        except (ConnectionResetError, BrokenPipeError):
            return True
        except OSError as error:
            # Not connected yet: a server that takes no connection has no say in it.
            return None if error.errno == errno.ENOTCONN else False
        return True

    def close(self) -> None:
        """Hear no more."""
        self._connection.close()


class Beats:
    """Listens to the programs that give signs of life."""

    def __init__(self, *, silence: int = SILENCE) -> None:
        self._silence = silence
        self._touched: dict[int, tuple[int, int]] = {}
        """By process: when it last gave a sign, and so many looks ago that was found."""

    def hung(self, running: Sequence[tuple[Child, float]]) -> list[Child]:
        """Return those that have given no sign for long."""
        beating = [child for child, _ in running if child.program.beats]
        self._touched = {child.pid: self._look(child) for child in beating}
        return [child for child in beating if self._touched[child.pid][1] >= self._silence]

    def stop(self) -> None:
        """Nothing is to be ended."""

    def _look(self, child: Child) -> tuple[int, int]:
        at = child.touched_at()
        known, looks = self._touched.get(child.pid, (at, 0))
        return at, looks + 1 if at == known else 0
