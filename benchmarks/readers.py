"""Readers of the proof: half ask now and then, half wait at the server. Each stops at the end mark.

Half of those who wait leave it to the server where they are, with a `poll_key` for each poll.
"""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from benchmarks.agents import Seat
from benchmarks.door import Door

END = "end of the proof"
PAUSE_SECONDS = 0.25
WAIT_SECONDS = 20
PAGE = 500


class Violation(Exception):
    """The bus did what it must not."""


@dataclass(frozen=True)
class Reader:
    """Who reads, and whether it waits at the server for what comes."""

    seat: Seat
    waits: bool
    is_kept: bool
    """Whether the server keeps its cursor."""


@dataclass
class Read:
    """What one reader saw, in the order it came."""

    reader: Reader
    ids: list[int] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    polls: int = 0
    retries: Counter[str] = field(default_factory=Counter)


def read_to_the_end(url: str, readers: Sequence[Reader]) -> list[Read]:
    """Read, a thread and a connection each, until each has seen the end mark."""
    with ThreadPoolExecutor(len(readers)) as pool:
        return list(pool.map(partial(_read, url), readers))


def _read(url: str, reader: Reader) -> Read:
    seat, door, read = reader.seat, Door(url, reader.seat.token), Read(reader)
    cursor, is_over = 0, False
    wait = WAIT_SECONDS if reader.waits else 0
    while not is_over:
        place = {"poll_key": f"poll {read.polls}"} if reader.is_kept else {"since_id": cursor}
        page = door.poll(seat.pipeline_id, limit=PAGE, wait=wait, **place)
        read.polls += 1
        for message in page["messages"]:
            if message["id"] <= cursor or message["to_role"] not in {seat.role, "all"}:
                raise Violation(f"{seat} got message {message['id']} to {message['to_role']} after {cursor}")
            cursor = message["id"]
            read.ids.append(cursor)
            read.subjects.append(message["subject"])
            is_over = message["subject"] == END
        if page["next_since_id"] != cursor:
            raise Violation(f"{seat} is at {cursor}, and was told to go on after {page['next_since_id']}")
        if not reader.waits and not page["has_more"]:
            time.sleep(PAUSE_SECONDS)
    read.retries = door.retries
    return read
