"""Three buses that do the same: ours, a list in memory behind the same door, and Redis Streams."""

from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

from redis import asyncio as redis

from benchmarks.agents import Seat
from benchmarks.wire import Wire

WAIT_SECONDS = 60
BODY = "x" * 200


class Bus(Protocol):
    """What is measured of each: post to one or to all, and wait for what is new."""

    async def post(self, to_role: str) -> None:
        """Post one message."""

    async def wait(self, number: int, cursor: str) -> str:
        """Wait as the reader of this number until there is something after *cursor*; the next cursor."""

    async def close(self) -> None:
        """Hang up."""


class HttpBus:
    """Ours, and whatever has the same door: the last seat writes, the others read."""

    def __init__(self, url: str, seats: Sequence[Seat]) -> None:
        *self._readers, self._writer = seats
        self._wires = [Wire(url, seat.token) for seat in self._readers]
        self._out = Wire(url, self._writer.token)

    async def post(self, to_role: str) -> None:
        """Post one message."""
        body = {"message_type": "PROGRESS", "to_role": to_role, "subject": "news", "body": BODY}
        await self._out.ask("POST", f"/pipelines/{self._writer.pipeline_id}/messages", body)

    async def wait(self, number: int, cursor: str) -> str:
        """Wait at the server."""
        seat = self._readers[number]
        query = urlencode({"since_id": cursor, "wait": WAIT_SECONDS, "role": seat.role})
        while True:
            page = await self._wires[number].ask("GET", f"/pipelines/{seat.pipeline_id}/messages?{query}")
            if page["messages"]:
                return str(page["next_since_id"])

    async def close(self) -> None:
        """Hang up."""
        for wire in (*self._wires, self._out):
            wire.close()


class RedisBus:
    """Redis Streams: one for each reader and one for all, read together."""

    def __init__(self, url: str, name: str, readers: int) -> None:
        self._name = name
        # Who waits with BLOCK is silent for long: without this the client gives up after 5 s.
        patient: Any = {"single_connection_client": True, "socket_timeout": None}
        self._clients = [redis.Redis.from_url(url, **patient) for _ in range(readers)]
        self._out = redis.Redis.from_url(url)

    async def post(self, to_role: str) -> None:
        """XADD."""
        await self._out.xadd(f"{self._name}:{to_role}", {"subject": "news", "body": BODY})

    async def wait(self, number: int, cursor: str) -> str:
        """XREAD BLOCK; ids of Redis order both streams, since they begin with the time."""
        after = cursor if "-" in cursor else "0-0"
        streams: Any = {f"{self._name}:reader{number}": after, f"{self._name}:all": after}
        while True:
            found: Any = await self._clients[number].xread(streams, block=WAIT_SECONDS * 1000)
            if found:
                return max(str(entries[-1][0], "ascii") for _, entries in found)

    async def close(self) -> None:
        """Hang up."""
        for client in (*self._clients, self._out):
            await client.aclose()
