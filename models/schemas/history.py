"""What the API tells of what happened: phase runs, agent runs, events."""

from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from models.schemas.report import Read, ResultRead
from models.states import (
    CheckStatus,
    Failure,
    MergeStatus,
    ObjectionStatus,
    PhaseStatus,
    Readiness,
    RunStatus,
    StopReason,
)


class PhaseRole(Read):
    """A role in a phase run."""

    role: str
    required: bool
    state: Readiness
    condition: str = ""
    """How it is doing, or was at the end, in a word: as `status` has it."""
    version: int
    rounds: int
    """How often it was run."""
    dropped: bool


class ObjectionRead(Read):
    """An objection."""

    number: int
    from_role: str
    about_role: str
    version: int
    status: ObjectionStatus
    round: int
    reason: str
    answer: str


class VersionRead(Read):
    """A version, and what merging it came to."""

    role: str
    number: int
    commit: str
    merge_commit: str | None
    merge_status: MergeStatus


class CheckRead(Read):
    """What the phase's check said of a commit."""

    commit: str
    status: CheckStatus


class PhaseRead(Read):
    """A phase run."""

    id: UUID
    phase: str
    iteration: int
    status: PhaseStatus
    stop_reason: StopReason | None
    why: str
    started_at: datetime
    ended_at: datetime | None
    roles: tuple[PhaseRole, ...]
    objections: tuple[ObjectionRead, ...]
    versions: tuple[VersionRead, ...]
    checks: tuple[CheckRead, ...]
    iterations_used: int
    """Iterations of its phase so far, itself included; a restart uses none up."""
    max_iterations: int | None
    """How many there may be until it converges; None where the phase is not repeated."""
    results: tuple[ResultRead, ...]
    """Those that stand."""


class AgentRead(Read):
    """An agent run, or a check, which has no role."""

    run: UUID
    phase: str
    iteration: int
    role: str | None
    number: int
    status: RunStatus
    condition: str = ""
    """How it fares or has ended, in a word: its status, or `no verdict`, `cannot start`, `stopped`, …"""
    causes: tuple[str, ...]
    node: str | None
    isolation: str = "process"
    """How it is isolated there: as a `process`, or by `docker` in a container of its own."""
    container_id: str | None = None
    """The name of its container, while there is one; None for a process."""
    verdict: Readiness | None
    failure: Failure | None
    error: str
    exit_code: int | None
    signal: int | None
    said: str
    """How it failed, in a sentence; nothing for one that lives, was cancelled or gave what it owed."""
    log_tail: tuple[str, ...]
    """Of one that failed, the last lines it wrote, at most ten, with what looks like a secret taken out."""
    logs: str
    """The command that shows all it wrote."""
    started_at: datetime | None
    ended_at: datetime | None


class EventRead(Read):
    """One thing that happened."""

    id: int
    type: str
    phase: str | None
    iteration: int | None
    role: str | None
    run: UUID | None
    text: str
    data: dict[str, JsonValue]
    timestamp: datetime


class EventPage(Read):
    """The oldest events after a number."""

    events: tuple[EventRead, ...]
    next_after: int
    has_more: bool


class Receipt(Read):
    """How far a role of the newest phase run is with the messages for it.

    A message for it is sent; it is delivered once its id is at most `delivered`, and handled once its id is
    at most `handled`.
    """

    delivered: int
    """Everything for it up to this message was in a poll or a prompt of it."""
    handled: int
    """Everything up to this one was delivered to a run that ended well."""
    unread: int
    """How many messages for it come after `delivered`."""
    unhandled: int
    """How many come after `handled`; those were not read, or by a run that has not ended yet."""
    dropped: bool
    """Whether the phase goes on without it; nothing more is sent to it."""


class MessagesRead(Read):
    """How many messages there are, and who has received what."""

    total: int
    by_type: dict[str, int]
    by_role: dict[str, int]
    """How many each sender has sent."""
    receipts: dict[str, Receipt]
    stored_bytes: int
    """What they take, each with 1 KiB beside its words."""
    quota_bytes: int
    """How much that may be before agents' messages are refused."""
