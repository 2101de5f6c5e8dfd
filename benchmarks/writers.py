"""Writers of the proof, and those who write over HTTP, a message a request.

Each message's subject is its key, so that a reader's copy tells which message it is.
"""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from benchmarks.agents import Seat
from benchmarks.door import Door
from egg_tasks.services.bus.messages import Draft
from models.schemas.message import MessageType


@dataclass(frozen=True)
class Writer:
    """Who writes how many messages to whom."""

    seat: Seat
    readers: tuple[str, ...]
    count: int

    def drafts(self) -> list[Draft]:
        """What it will send: most of it to one reader, some to all, now and then a waking question."""
        chance = random.Random(f"{self.seat.pipeline_id} {self.seat.role}")  # noqa: S311 - the same each time
        return [self._draft(number, chance) for number in range(self.count)]

    def _draft(self, number: int, chance: random.Random) -> Draft:
        to_role = chance.choices(("one", "all", "orchestrator"), (85, 10, 5))[0]
        kind = MessageType.QUESTION if chance.random() < 1 / 500 else MessageType.PROGRESS
        return Draft(
            kind,
            to_role=chance.choice(self.readers) if to_role == "one" else to_role,
            subject=f"{self.seat.role}-{number}",
            body="x" * chance.randrange(200),
            client_key=f"{self.seat.role}-{number}",
        )


@dataclass
class Written:
    """What one writer was told: by client_key the id that was acknowledged."""

    seat: Seat
    ids: dict[str, int] = field(default_factory=dict)
    aborts: int = 0
    retries: Counter[str] = field(default_factory=Counter)


def write_over_http(url: str, writers: Sequence[Writer]) -> list[Written]:
    """Write as agents do, a connection each."""
    with ThreadPoolExecutor(len(writers)) as pool:
        return list(pool.map(partial(_over_http, url), writers))


def _over_http(url: str, writer: Writer) -> Written:
    door, written = Door(url, writer.seat.token), Written(writer.seat)
    for draft in writer.drafts():
        body = {
            "message_type": draft.message_type,
            "to_role": draft.to_role,
            "subject": draft.subject,
            "body": draft.body,
            "client_key": draft.client_key,
        }
        written.ids[draft.subject] = int(door.send(writer.seat.pipeline_id, body)["id"])
    written.retries = door.retries
    return written
