"""Fakes of our ports, with all that the ports promise and nothing behind them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from egg_tasks.outbox import Parcel, Runs, RunToSend


@dataclass
class Recorder:
    """A sender that keeps what it is given, in order; it fails for the kinds of parcels it is told to."""

    sent: list[Parcel] = field(default_factory=list)
    fails_for: tuple[type[Parcel], ...] = ()

    def send(self, parcel: Parcel) -> None:
        """Keep the parcel, or raise what a broker that is away raises."""
        if isinstance(parcel, self.fails_for):
            raise ConnectionRefusedError("the broker is away")
        self.sent.append(parcel)


def runs_in(parcels: Iterable[Parcel]) -> list[RunToSend]:
    """The agent runs among them."""
    return [run for parcel in parcels if isinstance(parcel, Runs) for run in parcel.runs]
