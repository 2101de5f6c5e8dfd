"""What one agent run may leave behind and have done for it, as data; `services.bus.shares` enforces it.

An agent that works needs a small part of each of these: some hundred messages of a few KiB, a READY or two, a
result. One that does more fills what all pipelines share, as fast as it may, for as long as it lives.
"""

from dataclasses import dataclass
from enum import StrEnum

KIB, MIB = 1024, 1024 * 1024

MESSAGE_QUOTA = 256 * MIB
"""Bytes of messages that a pipeline may store; a person may raise it."""
LEAST_QUOTA, MOST_QUOTA = MIB, 1024 * 1024 * MIB
RUNS = 16
"""One run may fill so large a part of its pipeline's quota: 16 MiB of 256."""
BYTES_A_MESSAGE = 128 * KIB
"""And has one message for so much of it: 2,048 messages of 256 MiB, of 8 KiB on average. In an hour that is
one every 1.8 seconds, and each is read by somebody who pays for it."""
ROW_BYTES = KIB
"""What a message takes beside its words: its row, the event that tells of it, their indexes."""


class Share(StrEnum):
    """What is counted of a run."""

    MESSAGES = "messages"
    READY = "ready"
    SYNC = "sync"
    VERDICTS = "verdicts"
    PROGRESS = "progress"
    ERRORS = "errors"
    RESULTS = "results"
    QUESTIONS = "questions"


@dataclass(frozen=True)
class Limit:
    """How much of something a run may have."""

    what: str
    """In words, after `has used up its`."""
    number: int
    size: int
    """Bytes of words, altogether."""
    burst: int | None = None
    """Beyond so many at once there is one a second on average, for each costs more than a row."""


LIMITS = {
    # Each has git look at the clone; an agent that is refused mends its work before it asks again.
    Share.READY: Limit("READYs", 50, 256 * KIB, burst=5),
    Share.SYNC: Limit("syncs", 200, MIB, burst=10),
    Share.VERDICTS: Limit("WORKING, BLOCKED and OBJECTING", 200, 256 * KIB),
    Share.PROGRESS: Limit("reports of progress", 1000, 4 * MIB),
    Share.ERRORS: Limit("reported errors", 100, MIB),
    # Only the last one stands.
    Share.RESULTS: Limit("results", 20, 512 * KIB),
    # A person reads them.
    Share.QUESTIONS: Limit("questions to a person", 50, MIB),
}
"""Of all but messages, whose limit follows from their pipeline's quota."""


def message_limit(quota: int) -> Limit:
    """How many messages a run may send in a pipeline with this quota."""
    return Limit("messages", quota // BYTES_A_MESSAGE, quota // RUNS)
