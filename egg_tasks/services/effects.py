"""What must be sent once a unit of work has committed."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class RunToSend:
    """An agent run as its task is sent: which, and what Flower shows."""

    run_id: UUID
    pipeline_id: str
    phase: str
    role: str
    node: str | None = None


@dataclass(frozen=True)
class VersionKey:
    """Which version of which role in which phase run."""

    phase_run_id: UUID
    role: str
    number: int
    pipeline_id: str = field(default="", compare=False)
    """Whose it is, as Flower shows it; the phase run says it, too."""


@dataclass(frozen=True)
class RebaseKey:
    """Which rebase of which pipeline."""

    pipeline_id: str
    number: int


@dataclass
class Effects:
    """Collects what evaluations want sent; a lost one is found by the reconciler."""

    dispatches: list[tuple[UUID, tuple[RunToSend, ...]]] = field(default_factory=list)
    merges: list[VersionKey] = field(default_factory=list)
    rebases: list[RebaseKey] = field(default_factory=list)
    preparations: list[str] = field(default_factory=list)
    evaluations: dict[UUID, str] = field(default_factory=dict)
    """Phase runs, with their pipelines, to be evaluated once the messages just sent have their numbers."""
    notices: dict[int, str] = field(default_factory=dict)
    """Decisions that people have not heard of, with their pipelines."""
    deletions: list[str] = field(default_factory=list)
    """Pipelines that are to go."""
    hints: set[str] = field(default_factory=set)
    """Pipelines whose readers should look again."""
