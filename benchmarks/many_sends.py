"""Many who send at the same moment, a connection and a credential each, the next only after the reply."""

import asyncio
import time
from collections.abc import Sequence

from benchmarks.agents import Seat
from benchmarks.buses import BODY
from benchmarks.figures import Figure
from benchmarks.usage import spent
from benchmarks.wire import Wire

WRITERS = 32
SECONDS = 4.0
NAMED = f"sends through the API, {WRITERS} connections"


def measure(url: str, memory_url: str, raw: float, api_pid: int, seats: Sequence[Seat]) -> list[Figure]:
    """Send through the API and through a list in memory behind the same door.

    *raw* is how many rows a second eight connections insert by themselves; *api_pid* is the API's process.
    """
    before = spent(api_pid)
    made, ours = asyncio.run(_rate(url, seats))
    each = (spent(api_pid) - before) / made
    _, memory = asyncio.run(_rate(memory_url, seats))
    return [
        Figure("sends per second", NAMED, ours, "/s", "raw INSERT, 8 writers", raw),
        Figure("sends per second", NAMED, ours, "/s", "list in memory, HTTP", memory),
        Figure("sends per second", f"{NAMED}: its processor, each", 1000 * each, "ms"),
    ]


async def _rate(url: str, seats: Sequence[Seat]) -> tuple[int, float]:
    """How many sends were made, and how many a second."""
    wires = [Wire(url, seat.token) for seat in seats]
    try:
        await asyncio.gather(*(_send(wire, seat) for wire, seat in zip(wires, seats, strict=True)))
        began = time.perf_counter()
        until = began + SECONDS
        counts = await asyncio.gather(
            *(_repeat(wire, seat, until) for wire, seat in zip(wires, seats, strict=True))
        )
        return sum(counts) + len(seats), sum(counts) / (time.perf_counter() - began)
    finally:
        for wire in wires:
            wire.close()


async def _repeat(wire: Wire, seat: Seat, until: float) -> int:
    made = 0
    while time.perf_counter() < until:
        await _send(wire, seat)
        made += 1
    return made


async def _send(wire: Wire, seat: Seat) -> None:
    body = {"message_type": "PROGRESS", "to_role": "all", "subject": "news", "body": BODY}
    await wire.ask("POST", f"/pipelines/{seat.pipeline_id}/messages", body)
