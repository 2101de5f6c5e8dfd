"""Measures the bus: `make bench-bus`. Every figure stands beside its yardstick of the same run.

Nothing here is asserted: machines differ, ratios less so. Redis Streams are those of the stack's Valkey.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import before, commands, crowds, many_sends, memory_peer, polls, sends, wakes
from benchmarks.agents import Seat, seat
from benchmarks.buses import Bus, HttpBus, RedisBus
from benchmarks.figures import Figure, as_table, machine, quantile, write_json
from benchmarks.stack import Stack, running

SIZES = (1_000, 100_000, 10_000_000)
BYTES_A_MESSAGE = 700
"""With its two index entries and its share of the log of changes."""
WAITING = {1: 100, 50: 100, 200: 50}
"""So many posts to so many who wait."""


def measure_sends(stack: Stack, memory_url: str) -> list[Figure]:
    """Sends a second."""
    seats = seat("sends", [f"writer{number}" for number in range(many_sends.WRITERS)])
    seat("raw", ["writer"])
    found = stack.manifest
    figures = sends.measure(found.api_url, memory_url, found.database_url, found.redis_url, seats)
    raw = next(each.value for each in reversed(figures) if each.what.startswith("raw INSERT"))
    return figures + many_sends.measure(stack, memory_url, raw, seats)


def measure_polls(stack: Stack, largest: int) -> list[Figure]:
    """Poll latency by number of stored messages."""
    room = shutil.disk_usage(stack.home).free
    most = min(largest, room // BYTES_A_MESSAGE)
    sizes = sorted({min(size, most) for size in SIZES})
    readers = seat("polls", [f"reader{number}" for number in range(polls.READERS)])
    return polls.measure(stack.manifest.api_url, stack.manifest.database_url, readers[7], sizes)


def measure_wakes(stack: Stack, memory_url: str) -> list[Figure]:
    """From a post to its reader."""
    return [figure for waiting in WAITING for figure in asyncio.run(_wakes(stack, memory_url, waiting))]


async def _wakes(stack: Stack, memory_url: str, waiting: int) -> list[Figure]:
    roles = [*(f"reader{number}" for number in range(waiting)), "writer"]
    buses: dict[str, Bus] = {
        "ours": HttpBus(stack.manifest.api_url, seat(f"wakes-{waiting}", roles)),
        "list in memory, HTTP": HttpBus(memory_url, [Seat(f"wakes-{waiting}", role, "-") for role in roles]),
        "Redis XREAD BLOCK": RedisBus(stack.manifest.redis_url, f"wakes-{waiting}", waiting),
    }
    times = {
        name: await wakes.measure(bus, waiting=waiting, posts=WAITING[waiting]) for name, bus in buses.items()
    }
    return [
        Figure(
            "from a post to the waiting reader", f"{what}, {waiting} wait, p{share}", ours, "ms", peer, theirs
        )
        for place, what in enumerate(("to one", "to all"))
        for share in (50, 99)
        for peer in list(buses)[1:]
        for ours, theirs in [
            (quantile(times["ours"][place], share / 100), quantile(times[peer][place], share / 100))
        ]
    ]


def measure_crowds(stack: Stack) -> list[Figure]:
    """Five hundred at once."""
    roles = [*(f"reader{number}" for number in range(250)), "writer"]
    return asyncio.run(crowds.measure(stack, [seat("crowd-a", roles), seat("crowd-b", roles)]))


def measure_commands(stack: Stack) -> list[Figure]:
    """What agents type."""
    return commands.measure(stack, seat("commands", ["coder"])[0])


def run(stack: Stack, parts: Sequence[str], largest: int) -> list[Figure]:
    """Measure these parts, and say on stderr which is under way."""
    figures: list[Figure] = []
    with memory_peer.served() as memory_url:
        known: dict[str, Callable[[], list[Figure]]] = {
            "sends": lambda: measure_sends(stack, memory_url),
            "wakes": lambda: measure_wakes(stack, memory_url),
            "crowds": lambda: measure_crowds(stack),
            "commands": lambda: measure_commands(stack),
            "polls": lambda: measure_polls(stack, largest),
        }
        for name in parts or known:
            print(f"measuring {name}", file=sys.stderr)
            figures += known[name]()
    return figures


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there, too")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="most stored messages (10,000,000)")
    parser.add_argument("part", nargs="*", help="sends, wakes, crowds, commands, polls; all without")
    parser.add_argument("--before", metavar="COMMIT", help="measure its code first, and show that beside")
    given = parser.parse_args()
    arguments = ["--largest", str(given.largest), *given.part]
    then = before.figures(given.before, "bench_bus", arguments) if given.before else []
    described = machine()
    with running() as stack:
        figures = before.beside(run(stack, given.part, given.largest), then, given.before)
    print("  ".join(f"{name} {value}" for name, value in described.items()))
    print(as_table(figures))
    if given.json:
        write_json(given.json, described, figures)


if __name__ == "__main__":
    main()
