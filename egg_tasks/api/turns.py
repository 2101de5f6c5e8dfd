"""Shares: how much of this process one credential may take at once, so that there is some for each."""

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import TooMany, Unavailable

AT_ONCE = 32
"""Requests of one credential under way at once, whatever they do."""
WORKING = 4
"""Of those so many are worked on; the others wait for their turn."""
WAITING = 4
"""And so many may wait for news."""
ALL_WORKING = 32
"""Of all agents together; the process has 40 threads, and the others are for people and for /ready."""
PAUSE: dict[str, object] = {"retry_after": 1}


class CredentialUse:
    """What one credential takes now. The operator's knows no bounds but those of the process."""

    def __init__(self, shares: "Shares", *, is_bounded: bool = True) -> None:
        self.is_bounded = is_bounded
        self.asked = 0
        self._waiting = 0
        self._shares = shares
        self._turns = asyncio.Semaphore(WORKING)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Hold a place among those that wait for news; `TooMany` when this credential has all of its own."""
        if self.is_bounded and self._waiting >= WAITING:
            raise TooMany(
                f"this credential has {WAITING} requests that wait already: let one of them end first", PAUSE
            )
        if self._shares.waiting >= self._shares.most_waiting:
            raise Unavailable("too many requests wait for news here: ask again in a moment, without wait")
        self._waiting += 1
        self._shares.waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._shares.waiting -= 1

    def turn(self) -> "Turn":
        """The turn of this credential to be worked for."""
        return Turn([self._turns, self._shares.turns] if self.is_bounded else [])


class Turn:
    """The right to use a thread: as a context it is waited for, and may be given back early."""

    def __init__(self, wanted: list[asyncio.Semaphore]) -> None:
        self._wanted = wanted
        self._held: list[asyncio.Semaphore] = []

    async def __aenter__(self) -> Self:
        """Wait for it."""
        try:
            for semaphore in self._wanted:
                await semaphore.acquire()
                self._held.append(semaphore)
        except BaseException:
            self.give_back()
            raise
        return self

    async def __aexit__(self, *_raised: object) -> None:
        """Let the next one have it."""
        self.give_back()

    def give_back(self) -> None:
        """Let the next one have it; once is enough."""
        while self._held:
            self._held.pop().release()


class Shares:
    """Who takes what. To be used in one event loop."""

    def __init__(self, most_waiting: int) -> None:
        self.most_waiting = most_waiting
        self.waiting = 0
        self.turns = asyncio.Semaphore(ALL_WORKING)
        self._of: dict[Hashable, CredentialUse] = {}

    @contextmanager
    def taken(self, who: Hashable, *, is_bounded: bool) -> Iterator[CredentialUse]:
        """The share of a credential, with one more request; `TooMany` when it has too many under way."""
        share = self._of.get(who)
        if share is None:
            share = self._of[who] = CredentialUse(self, is_bounded=is_bounded)
        if is_bounded and share.asked >= AT_ONCE:
            raise TooMany(f"this credential has {AT_ONCE} requests under way: let some of them end", PAUSE)
        share.asked += 1
        try:
            yield share
        finally:
            share.asked -= 1
            if not share.asked:
                del self._of[who]


class Turns:
    """Lets a request go on when it is its credential's turn."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, in its turn; one that nobody has asked for needs none."""
        share: CredentialUse | None = scope["state"].get("share") if scope["type"] == "http" else None
        if share is None:
            await self.app(scope, receive, send)
            return
        async with share.turn() as turn:
            scope["state"]["turn"] = turn
            await self.app(scope, receive, send)
