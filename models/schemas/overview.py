"""What the API tells over all pipelines: what runs, what a person is asked, what went wrong last."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from models.schemas.report import DecisionRead, HaltRead, Read
from models.states import Failure, PhaseStatus, PipelineStatus, Readiness, RunStatus


class Holds(StrEnum):
    """Who waits for the answer to a question."""

    PIPELINE = "pipeline"
    ROLES = "roles"
    """Those in `roles`; the others go on."""
    NOBODY = "nobody"


class AskedRead(DecisionRead):
    """A question to a person, with who waits for its answer."""

    pipeline_status: PipelineStatus
    holds: Holds


class InboxPage(Read):
    """Questions of all pipelines: those that wait, the most urgent first; others, newest first."""

    decisions: tuple[AskedRead, ...]
    next_after: int | None
    pending: int
    """How many wait, on this page and others."""


class RoleNowRead(Read):
    """A role of a live phase run."""

    role: str
    state: Readiness
    condition: str = ""
    """How it is doing, in a word: as `status` has it."""
    run: RunStatus | None
    """How its live run fares; None when none lives."""


class LastEvent(Read):
    """What happened last in a pipeline."""

    type: str
    role: str | None
    text: str
    timestamp: datetime


class RunningRead(Read):
    """A pipeline that is not over."""

    id: str
    status: PipelineStatus
    phase: str
    iteration: int
    phase_status: PhaseStatus
    why: str
    """What it waits for, as it was last found."""
    roles: tuple[RoleNowRead, ...]
    questions: int
    """How many a person is asked in it."""
    first_question: AskedRead | None
    """The most urgent of them."""
    last_event: LastEvent | None
    created_at: datetime
    started_at: datetime | None


class RunningPage(Read):
    """Pipelines that are not over, what needs a person first."""

    pipelines: tuple[RunningRead, ...]
    next_after: str | None
    total: int
    halt: HaltRead | None


class FailedRead(Read):
    """A run that ended badly, or (without a role) a check, or (without a phase) a pipeline that failed."""

    pipeline: str
    phase: str | None
    role: str | None
    number: int | None
    """Which run of the role."""
    failure: Failure | None
    text: str
    at: datetime


class HeldUpRead(Read):
    """A pipeline, perhaps a deleted one, for which something of ours is tried in vain."""

    pipeline: str
    text: str


class NodeRead(Read):
    """A machine that hosts agents."""

    name: str
    places: int
    taken: int
    contained: int = 0
    """How many of those that are taken are containers."""


class LateRead(Read):
    """Phases whose time to be looked at is over, which no worker did."""

    number: int
    since: datetime | None


class ServerDiskRead(Read):
    """The disk under the server's data."""

    free_bytes: int
    shortage: str | None
    """The sentence for one without room for new work."""


class OverviewRead(Read):
    """The whole installation."""

    version: str
    pipelines: Mapping[str, int]
    """How many there are, by status."""
    nodes: tuple[NodeRead, ...]
    """Every machine that ever hosted an agent."""
    waiting_runs: int
    """How many agent runs wait for a place."""
    ticked_at: datetime | None
    """When a worker or the reconciler last gave a sign of life, within some seconds."""
    late: LateRead
    halt: HaltRead | None
    disk: ServerDiskRead
    questions: int
    first_questions: tuple[AskedRead, ...]
    failures: tuple[FailedRead, ...]
    """The last ones, the last one first."""
    held_up: tuple[HeldUpRead, ...] = ()
    """Some of them, the most often tried first."""
