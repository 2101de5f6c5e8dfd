"""What must be sent once a unit of work has committed."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class RunToSend:
    """An agent run as its task is sent: which, and what Flower shows."""

    run_id: UUID
    phase: str
    role: str
    node: str | None = None


@dataclass(frozen=True)
class VersionKey:
    """Which version of which role in which phase run."""

    phase_run_id: UUID
    role: str
    number: int


@dataclass
class Effects:
    """Collects what evaluations want sent; a lost one is found by the reconciler."""

    dispatches: list[tuple[UUID, tuple[RunToSend, ...]]] = field(default_factory=list)
    merges: list[VersionKey] = field(default_factory=list)
    preparations: list[str] = field(default_factory=list)
    evaluations: list[UUID] = field(default_factory=list)
    """Phase runs to be evaluated once the messages of the unit of work have their numbers."""
    notices: list[int] = field(default_factory=list)
    """Decisions that people have not heard of."""
    hints: set[str] = field(default_factory=set)
    """Pipelines whose readers should look again."""
