"""Silences: when something that ticks did not. Where all of them are silent, the machine slept."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

ASLEEP = timedelta(seconds=10)
"""So long nothing of ours has ticked on a machine that sleeps; what is awake ticks every few seconds."""
BEGINNING = datetime.min.replace(tzinfo=UTC)


class Silence(NamedTuple):
    """From its last tick to the next one, something did not tick."""

    began_at: datetime
    ended_at: datetime

    @property
    def length(self) -> timedelta:
        """How long it was; negative for none."""
        return self.ended_at - self.began_at


def common(of_each: Iterable[Sequence[Silence]]) -> list[Silence]:
    """The silences that all have in common, those of a machine that is awake and busy left out."""
    found = [Silence(BEGINNING, datetime.max.replace(tzinfo=UTC))]
    for silences in of_each:
        both = (
            Silence(max(one.began_at, other.began_at), min(one.ended_at, other.ended_at))
            for one in found
            for other in silences
        )
        found = [silence for silence in both if silence.length >= ASLEEP]
    return found
