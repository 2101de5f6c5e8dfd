"""Connections: how many there may be, how long one may leave us waiting, and who goes when it is crowded.

uvicorn has no limit for a head that never ends, for requests that come before the last is answered or an
answer that nobody takes, and the event loop, once out of descriptors, writes a traceback for each connection
that waits. So it must never come to that.
"""

import asyncio
import logging
import socket
import struct
import time
from collections import deque
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from egg_tasks.descriptors import KEPT_BACK, lengthen_queues, limit

MOST = 2048
MOST_UNREAD = 64 * 1024
"""Bytes of a head, or of what follows a body in pieces, that are kept until they end. One reading more, of up
to 256 KiB, may come before we look."""
MOST_AHEAD = 64
"""Requests that one connection may have under way, of which the first is worked on; ours have one."""
HEAD_SECONDS = 10.0
"""From a connection, or the end of the last answer on it, to the end of a request's head."""
GRACE_SECONDS = 1.0
"""In which whoever has just come may ask, however crowded it is."""
TAKE_SECONDS = 30.0
"""In which a reader must have taken some of its answer."""
TAKEN = 16 * 1024
"""So much of it, in bytes."""
SWEEP_SECONDS = 1.0
AT_ONCE = struct.pack("ii", 1, 0)
EXTRA = 16
"""So many more are let in when all are at work: among them may be a person, who is served."""


def most() -> int:
    """How many connections this process may have, by what it may open."""
    return max(EXTRA, min(MOST, (limit() - KEPT_BACK) // 2))


class Connection(HttpToolsProtocol):
    """One connection, which must say something, and take what it is told."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._crowd = Crowd.of(server_state, self.loop)
        self._untaken: tuple[float, int] | None = None
        """Since when how many bytes of an answer wait for their reader."""
        self._unread = 0
        """Bytes that came since anything of a request was passed on."""
        self._asked: deque[RequestResponseCycle] = deque()
        """The requests under way, of which uvicorn knows the last."""

    @property
    def is_asking(self) -> bool:
        """Whether a request is under way."""
        return bool(self._asked)

    @property
    def is_known(self) -> bool:
        """Whether the last one who asked here was known."""
        scope: HTTPScope | None = self.scope
        return scope is not None and "who" in scope.get("state", {})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Come in, if need be in the place of another."""
        super().connection_made(transport)
        self._crowd.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave; uvloop, unlike asyncio, fails at what is written from now on."""
        self._crowd.leave(self)
        for cycle in self._asked:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes; a request makes this one busy."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > MOST_UNREAD and not self.transport.is_closing():
            self.send_400_response(f"A request's head is at most {MOST_UNREAD // 1024} KiB.")
        elif self.is_asking:
            self._crowd.busy(self)

    def on_headers_complete(self) -> None:
        """Take a request; the parser makes an answer of 400 of what is raised here."""
        if len(self._asked) >= MOST_AHEAD:
            raise ValueError(f"{MOST_AHEAD} requests of this connection are under way already")
        super().on_headers_complete()
        self._asked.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of a body."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Pass on the end of a request."""
        self._unread = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Be idle until the next request."""
        self._asked.popleft()
        super().on_response_complete()
        if not self.is_asking and not self.transport.is_closing():
            self._crowd.idle(self)

    def resume_writing(self) -> None:
        """The reader has taken something."""
        self._untaken = None
        super().resume_writing()

    def is_stuck(self, now: float) -> bool:
        """Whether the reader has long taken next to nothing of its answer; to be asked again and again."""
        size = self.transport.get_write_buffer_size()
        if not size:
            self._untaken = None
        elif self._untaken is None:
            self._untaken = (now, size)
        elif now - self._untaken[0] > TAKE_SECONDS:
            if size > self._untaken[1] - TAKEN:
                return True
            self._untaken = (now, size)
        return False

    def drop(self) -> None:
        """End at once, whatever is still to be sent."""
        self.connections.discard(self)
        self._crowd.leave(self)
        if self.transport.get_write_buffer_size():
            # Else the kernel would keep what nobody takes, and go on trying.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    def be_extra(self) -> None:
        """Have the gate serve the operator alone here."""
        self.app_state = {**self.app_state, "is_extra": True}


class Crowd:
    """All connections of a server. To be used in one event loop."""

    _all: ClassVar["WeakKeyDictionary[ServerState, Crowd]"] = WeakKeyDictionary()

    def __init__(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._connections = connections
        self._loop = loop
        self._most = most()
        self._strangers: dict[Connection, float] = {}
        """Who has not asked yet, or was not known, and since when it is idle; the longest first."""
        self._regulars: dict[Connection, float] = {}
        """Who is idle after an answer to somebody known."""
        self._is_sweeping = False

    @classmethod
    def of(cls, state: ServerState, loop: asyncio.AbstractEventLoop) -> "Crowd":
        """The crowd of a server."""
        if state not in cls._all:
            # The first connection: by now the server listens.
            lengthen_queues()
            cls._all[state] = cls(state.connections, loop)
        return cls._all[state]

    def enter(self, connection: Connection) -> None:
        """Let one in; when it is full, in the place of one that is idle."""
        count = len(self._connections)
        if count > self._most:
            if idle := self._superfluous(is_crammed=count > self._most + EXTRA):
                idle.drop()
            elif count > self._most + EXTRA:
                connection.drop()
                return
            else:
                connection.be_extra()
        self._strangers[connection] = self._loop.time()
        if not self._is_sweeping:
            self._is_sweeping = True
            self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _superfluous(self, *, is_crammed: bool) -> Connection | None:
        """Who is idle longest, strangers first.

        All of ours ask as soon as they are connected: who just came goes only if there is no other way.
        """
        stranger = next(iter(self._strangers), None)
        if stranger and self._loop.time() - self._strangers[stranger] > GRACE_SECONDS:
            return stranger
        return next(iter(self._regulars), None) or (stranger if is_crammed else None)

    def busy(self, connection: Connection) -> None:
        """Note that a request is under way."""
        self._strangers.pop(connection, None)
        self._regulars.pop(connection, None)

    def idle(self, connection: Connection) -> None:
        """Note that a request is over."""
        self.busy(connection)
        among = self._regulars if connection.is_known else self._strangers
        among[connection] = self._loop.time()

    leave = busy

    def _sweep(self) -> None:
        """Drop who has not asked in time, or takes nothing."""
        now = self._loop.time()
        for idle in (self._strangers, self._regulars):
            late = [one for one, since in idle.items() if now - since > HEAD_SECONDS]
            for one in late:
                if not one.transport.get_write_buffer_size():
                    one.drop()
        for one in [each for each in self._connections if each.is_stuck(now)]:
            one.drop()
        self._is_sweeping = bool(self._connections)
        if self._is_sweeping:
            self._loop.call_later(SWEEP_SECONDS, self._sweep)


class Seldom(logging.Filter):
    """Lets each sentence through so often a minute, however often somebody causes it."""

    OFTEN = 5

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written."""
        began, count = self._said.get(record.msg, (0.0, 0))
        now = time.monotonic()
        if now - began > 60:  # noqa: PLR2004 - a minute
            began, count = now, 0
        if len(self._said) > 1000:  # noqa: PLR2004
            self._said.clear()
        self._said[record.msg] = (began, count + 1)
        return count < self.OFTEN


def speak_seldom() -> None:
    """Have the servers' own loggers not fill the log with what strangers cause."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, Seldom) for each in logger.filters):
            logger.addFilter(Seldom())
