"""Many agents that wait at once: what the API needs for them."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.agents import Seat
from benchmarks.buses import HttpBus
from benchmarks.figures import Figure
from benchmarks.stack import Stack

SIZES = (50, 500)
SETTLE_SECONDS = 6.0
WATCH_SECONDS = 10.0
GROUP = "agents that wait at once"


@dataclass(frozen=True)
class Usage:
    """What the API uses."""

    threads: int
    connections: int
    busy: float
    """The share of one processor, in percent."""


async def measure(stack: Stack, pipelines: Sequence[Sequence[Seat]]) -> list[Figure]:
    """Count threads, connections and processor time of the API before, and with each number waiting."""
    before = await _usage(stack)
    figures: list[Figure] = []
    for size in SIZES:
        each = size // len(pipelines)
        buses = [HttpBus(stack.manifest.api_url, seats[: each + 1]) for seats in pipelines]
        waiting = [asyncio.create_task(bus.wait(number, "0")) for bus in buses for number in range(each)]
        await asyncio.sleep(SETTLE_SECONDS)
        figures += _figures(f"{size} agents", await _usage(stack), before)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for bus in buses:
            await bus.close()
    return figures


def _figures(who: str, usage: Usage, before: Usage) -> list[Figure]:
    named = "nobody"
    return [
        Figure(GROUP, f"threads of the API, {who}", usage.threads, "", named, before.threads),
        Figure(GROUP, f"database connections, {who}", usage.connections, "", named, before.connections),
        Figure(GROUP, f"one processor, {who}", usage.busy, "%", named, before.busy),
    ]


async def _usage(stack: Stack) -> Usage:
    pid = stack.pid("api")
    began = _ticks(pid)
    await asyncio.sleep(WATCH_SECONDS)
    busy = 100 * (_ticks(pid) - began) / os.sysconf("SC_CLK_TCK") / WATCH_SECONDS
    threads = _threads(pid)
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'egg' AND pid <> pg_backend_pid()"
    with psycopg.connect(stack.manifest.database_url) as connection:
        found = connection.execute(query).fetchone()
    return Usage(threads, int(found[0]) if found else 0, busy)


def _threads(pid: int | None) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _ticks(pid: int | None) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
