"""The outbox of a unit of work: what is to be sent once it has committed. A lost one the reconciler finds."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from models.tables import Event, Message

OUTBOX = "outbox"


@dataclass(frozen=True)
class RunToSend:
    """An agent run as its task is sent: which, and what Flower shows."""

    run_id: UUID
    pipeline_id: str
    phase: str
    role: str
    node: str | None = None


@dataclass(frozen=True)
class Runs:
    """Agent runs that are sent together; when the last of them is over, their phase run is evaluated."""

    phase_run_id: UUID
    runs: tuple[RunToSend, ...]


@dataclass(frozen=True)
class VersionKey:
    """A version to be merged: which, of which role in which phase run."""

    phase_run_id: UUID
    role: str
    number: int
    pipeline_id: str = field(default="", compare=False)
    """Whose it is, as Flower shows it; the phase run says it, too."""


@dataclass(frozen=True)
class RebaseKey:
    """A present base to be merged: which rebase of which pipeline."""

    pipeline_id: str
    number: int


@dataclass(frozen=True)
class Evaluation:
    """A phase run to be evaluated, once the messages just sent have their numbers."""

    phase_run_id: UUID
    pipeline_id: str


@dataclass(frozen=True)
class Preparation:
    """A pipeline whose repository is to be made."""

    pipeline_id: str


@dataclass(frozen=True)
class Publication:
    """A pipeline whose work branch is to move to where its row says."""

    pipeline_id: str


@dataclass(frozen=True)
class Deletion:
    """A pipeline that is to go."""

    pipeline_id: str


@dataclass(frozen=True)
class Clearing:
    """A run that is over and whose clone is to be cleared away, on the machine that has it."""

    run_id: UUID
    node: str | None
    pipeline_id: str


@dataclass(frozen=True)
class Notice:
    """One try to tell people of a decision: the first is number 1."""

    decision_id: int
    number: int
    pipeline_id: str = ""
    """Whose it is, as Flower shows it."""


@dataclass(frozen=True, order=True)
class News:
    """Something new in a pipeline: events for whoever reads them or, with a role, messages to it."""

    pipeline_id: str
    to_role: str = ""


@dataclass(frozen=True)
class WakeUp:
    """All that is new after a unit of work, sorted: who waits for any of it should look again."""

    news: tuple[News, ...]


Parcel = (
    Runs
    | VersionKey
    | RebaseKey
    | Evaluation
    | Preparation
    | Publication
    | Deletion
    | Clearing
    | Notice
    | WakeUp
)
"""What is sent on its own: one that fails keeps no other back."""


@dataclass
class Outbox:
    """What waits for the commit, each only once and in the order in which it came."""

    parcels: list[Parcel] = field(default_factory=list)
    news: set[News] = field(default_factory=set)

    def add(self, *parcels: Parcel) -> None:
        """Have something sent after all that waits already."""
        self.parcels += [parcel for parcel in dict.fromkeys(parcels) if parcel not in self.parcels]

    def add_first(self, *parcels: Parcel) -> None:
        """Have something sent before all that waits already."""
        self.parcels[:0] = parcels

    def wake(self, *news: News) -> None:
        """Wake who waits for what is new and is no row that is numbered when the unit of work ends."""
        self.news.update(news)

    def seal(self, told: Iterable[Message | Event]) -> tuple[Parcel, ...]:
        """All there is to send, the waking first; *told*, the rows just numbered, wake by themselves."""
        self.news.update(_news(row) for row in told)
        return (*((WakeUp(tuple(sorted(self.news))),) if self.news else ()), *self.parcels)


def of(session: Session) -> Outbox:
    """The session's outbox. It is gone with the session: what is rolled back is never sent."""
    box: Outbox = session.info.setdefault(OUTBOX, Outbox())
    return box


def _news(row: Message | Event) -> News:
    return News(row.pipeline_id, row.to_role if isinstance(row, Message) else "")
