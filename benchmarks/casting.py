"""Who takes part in the proof, and who writes how much to whom."""

from dataclasses import dataclass

from benchmarks.agents import Seat, seat
from benchmarks.readers import Reader
from benchmarks.writers import Writer

OVER_HTTP, IN_SERVICES, READERS = 30, 20, 20
HTTP_SHARE = 20
"""One message in so many is written over HTTP."""


@dataclass(frozen=True)
class Cast:
    """Who takes part on how many pipelines."""

    readers: tuple[Reader, ...]
    over_http: tuple[Writer, ...]
    in_services: tuple[Writer, ...]


def cast(pipelines: int, messages: int) -> Cast:
    """Make the pipelines and divide roles and messages among them."""
    reading = {number: f"reader{number}" for number in range(READERS)}
    writing = {number: f"writer{number}" for number in range(OVER_HTTP + IN_SERVICES)}
    seats: dict[str, Seat] = {}
    names: dict[str, tuple[str, ...]] = {}
    for place in range(pipelines):
        here = [role for number, role in reading.items() if number % pipelines == place]
        there = [role for number, role in writing.items() if number % pipelines == place]
        names |= dict.fromkeys(there, tuple(here))
        seats |= {each.role: each for each in seat(f"proof-{pipelines}-{place}", [*here, *there])}
    few = messages // HTTP_SHARE // OVER_HTTP
    many = -(-(messages - few * OVER_HTTP) // IN_SERVICES)
    counts = [few] * OVER_HTTP + [many] * IN_SERVICES
    writers = [Writer(seats[role], names[role], counts[number]) for number, role in writing.items()]
    readers = [
        Reader(seats[role], waits=number >= READERS // 2, is_kept=number >= READERS * 3 // 4)
        for number, role in reading.items()
    ]
    return Cast(tuple(readers), tuple(writers[:OVER_HTTP]), tuple(writers[OVER_HTTP:]))
