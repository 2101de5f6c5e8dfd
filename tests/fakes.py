"""Fakes of our ports, with all that the ports promise and nothing behind them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from egg_tasks.backends.command import CommandBackend
from egg_tasks.outbox import (
    Clearing,
    Deletion,
    Evaluation,
    Notice,
    Parcel,
    Preparation,
    Publication,
    RebaseKey,
    Runs,
    RunToSend,
    VersionKey,
    WakeUp,
)
from models.schemas.run import Exit, Report


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


@dataclass(frozen=True)
class Written:
    """What a run has written, kept in memory."""

    content: bytes = b""

    def end(self, most: int) -> bytes:
        """Its last *most* bytes."""
        return self.content[max(0, len(self.content) - most) :]


def report(ended: Exit, text: str = "") -> Report:
    """What is made of the end of a command that wrote *text*."""
    return CommandBackend().understand(ended, Written(text.encode()))


def runs_in(parcels: Iterable[Parcel]) -> list[RunToSend]:
    """The agent runs among them."""
    return [run for parcel in parcels if isinstance(parcel, Runs) for run in parcel.runs]


def written(parcel: Parcel) -> str:
    """What a parcel is and whom it is for, in a line."""
    match parcel:
        case WakeUp(news):
            return f"wake {', '.join(f'{each.pipeline_id} {each.to_role}'.strip() for each in news)}"
        case Runs(runs=runs):
            return f"run {', '.join(run.role for run in runs)}"
        case VersionKey(role=role, number=number):
            return f"merge {role} {number}"
        case Clearing(node=node):
            return f"clear on {node}"
        case Notice(number=number):
            return f"notify, try {number}"
        case RebaseKey():
            return "merge the base"
        case Preparation() | Publication() | Deletion() | Evaluation():
            return f"{type(parcel).__name__.lower()} of {parcel.pipeline_id}"
