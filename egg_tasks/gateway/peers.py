"""Peers: one end of an HTTP connection each, and how a request and its answer pass from one to the other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import h11

PIECE = 64 * 1024
MAX_HEAD = 16 * 1024
"""Of a request, as at the API; anybody may leave one unfinished, without a token."""
MAX_ANSWERS_HEAD = 64 * 1024
LINGER_SECONDS = 2.0
"""So long we listen to who goes on sending, so that an answer is not lost by our hanging up."""
HOPS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
    }
)
"""What a header says to the next one alone (RFC 9110, 7.6.1); of `transfer-encoding` h11 takes care."""

Event = h11.Event | type[h11.PAUSED]
Headers = Iterable[tuple[bytes, bytes]]
Hearing = Callable[[h11.Event], Awaitable[None]]


class GoneError(Exception):
    """Who asked has hung up."""


class UnansweredError(Exception):
    """Who was asked went away before it began to answer."""


class BrokenError(Exception):
    """An answer that has begun cannot be finished: only by hanging up can that be told."""


class Peer:
    """One end of a connection, as an HTTP server or client."""

    def __init__(
        self, role: type[h11.CLIENT | h11.SERVER], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.http = h11.Connection(
            role, max_incomplete_event_size=MAX_HEAD if role is h11.SERVER else MAX_ANSWERS_HEAD
        )
        self.reader = reader
        self.writer = writer

    @property
    def has_begun(self) -> bool:
        """Whether we have begun to answer the request under way."""
        return self.http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}

    @property
    def is_done(self) -> bool:
        """Whether request and answer are complete, and another may follow."""
        return self.http.our_state is h11.DONE and self.http.their_state is h11.DONE

    async def receive(self) -> Event:
        """The next event; `h11.PAUSED` while what the other sent belongs to the next request."""
        while True:
            event = self.http.next_event()
            if not isinstance(event, type):
                return event
            if event is h11.PAUSED:
                return h11.PAUSED
            self.http.receive_data(await self.reader.read(PIECE))

    async def send(self, event: h11.Event) -> None:
        """Send an event, when the other has taken most of what came before."""
        if found := self.http.send(event):
            self.writer.write(found)
        await self.writer.drain()

    async def hung_up(self) -> None:
        """Return when the other has hung up; what it sends meanwhile is kept, within bounds."""
        while len(self.http.trailing_data[0]) < MAX_HEAD:
            piece = await self.reader.read(PIECE)
            self.http.receive_data(piece)
            if not piece:
                return
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Hang up after what was sent has gone out, as far as the other takes it."""
        with suppress(OSError, TimeoutError):
            if self.writer.can_write_eof():
                self.writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self.reader.read(PIECE):
                    pass
        self.abort()

    def abort(self) -> None:
        """Hang up at once."""
        self.writer.transport.abort()


def onwards(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers without those that are for us alone."""
    found = list(headers)
    named = {
        word.strip().lower()
        for name, value in found
        if name.lower() == b"connection"
        for word in value.split(b",")
    }
    return [(name, value) for name, value in found if name.lower() not in HOPS | named]


async def unheard(_event: h11.Event) -> None:
    """Hear nothing."""


async def exchange(near: Peer, far: Peer, request: h11.Request, hear: Hearing = unheard) -> None:
    """Pass a request on to *far* and its answer back to *near*, both as they come.

    Each part of the answer is heard by *hear* before it is passed on.

    `GoneError`, `UnansweredError` or `BrokenError` when it does not come to its end.
    """
    asking = asyncio.create_task(_asked(near, far, request))
    answering = asyncio.create_task(_answered(far, near, hear))
    try:
        await asyncio.wait((asking, answering), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done() and isinstance(asking.exception(), GoneError | h11.RemoteProtocolError):
            await asking
        # Who takes no more of a request may have said why.
        await answering
    finally:
        asking.cancel()
        answering.cancel()
        await asyncio.gather(asking, answering, return_exceptions=True)


async def _asked(near: Peer, far: Peer, request: h11.Request) -> None:
    """Pass the request on; then, as long as its answer is awaited, see whether who asked hangs up."""
    await far.send(request)
    while True:
        event = await near.receive()
        if isinstance(event, h11.ConnectionClosed):
            raise GoneError
        assert not isinstance(event, type), "a request ends before the next one begins"  # noqa: S101
        await far.send(event)
        if isinstance(event, h11.EndOfMessage):
            break
    await near.hung_up()
    raise GoneError


async def _answered(far: Peer, near: Peer, hear: Hearing) -> None:
    while True:
        try:
            event = await far.receive()
        except (OSError, h11.RemoteProtocolError) as error:
            raise BrokenError if near.has_begun else UnansweredError from error
        if isinstance(event, h11.ConnectionClosed | type):
            raise UnansweredError
        await hear(event)
        try:
            await near.send(_passed(event))
        except OSError as error:
            raise GoneError from error
        if isinstance(event, h11.EndOfMessage):
            return


def _passed(event: h11.Event) -> h11.Event:
    """An event of an answer as it is passed on."""
    if isinstance(event, h11.Response | h11.InformationalResponse):
        kind = type(event)
        headers = onwards(event.headers)
        if any(name == b"connection" and b"close" in value.lower() for name, value in event.headers):
            headers.append((b"connection", b"close"))
        return kind(status_code=event.status_code, headers=headers, reason=event.reason)
    return event
