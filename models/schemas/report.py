"""What the API tells of a pipeline and of what it waits for."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue

from models.states import (
    DecisionStatus,
    Failure,
    ParseStatus,
    PhaseStatus,
    PipelineStatus,
    Readiness,
    RebaseStatus,
    RunStatus,
    StopReason,
)


class Read(BaseModel):
    """A shape that is only ever read."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class PipelineRead(Read):
    """A pipeline, its definition left out."""

    id: str
    status: PipelineStatus
    repo: str
    base: str | None
    """What it started from, in the words of who asked for it."""
    base_commit: str | None
    """The commit that stands for, as soon as it is known."""
    current_phase: str | None
    iteration: int | None
    work_branch: str
    work_commit: str | None
    repository: str
    """The pipeline's own repository, where the work branch is."""
    why: str | None
    """What it waits for, or why it ended as it did."""
    rerun_of: str | None = None
    """The pipeline it repeats."""
    is_rerun_of_deleted: bool = False
    """Whether that one is gone: another may have its name by now."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class FailureRead(Read):
    """A run that did not give what it owed: how it ended, and what it wrote last."""

    role: str | None
    """None for the phase's check."""
    run: UUID
    number: int
    failure: Failure
    """Its class."""
    exit_code: int | None
    signal: int | None
    said: str
    """The same in a sentence: `coder failed (run 1): exit code 1`."""
    log_tail: tuple[str, ...]
    """The last lines it wrote, at most ten, with what looks like a secret taken out."""
    logs: str
    """The command that shows all it wrote."""


class RebaseRead(Read):
    """The base of a repository, as it is now, on its way into a work branch."""

    id: int
    status: RebaseStatus
    commit: str | None
    """The base's commit, as soon as it is known."""
    merge_commit: str | None
    conflict_paths: tuple[str, ...]
    why: str
    """Why it could not be fetched or merged."""
    created_at: datetime
    ended_at: datetime | None


class PipelineDetail(PipelineRead):
    """A pipeline with its pinned definition."""

    definition: dict[str, JsonValue]
    file: str | None = None
    """The file it was made from, on the machine of who submitted it; None where that is not known."""
    overrides: tuple[str, ...] = ()
    """What was set over the file: K=V."""
    rebase: RebaseRead | None = None
    """The newest one."""
    reruns: tuple[str, ...] = ()
    """The pipelines that repeat this one, oldest first."""
    unchanged: tuple[str, ...] = ()
    """Versions that are merged and change nothing, as `coder's version 1`."""
    leftovers: tuple[str, ...] = ()
    """Work that is on no role's branch: set aside, or kept in a clone; a sentence for each."""
    failures: tuple[FailureRead, ...] = ()
    """Runs of its newest phase run whose roles, or check, have failed since they last did well."""


class PipelinePage(Read):
    """Pipelines, newest first."""

    pipelines: tuple[PipelineRead, ...]
    next_after: str | None


class DecisionRead(Read):
    """A question to a person, and its answer."""

    id: int
    pipeline_id: str
    phase: str
    kind: str
    question: str
    options: tuple[str, ...]
    default: str | None
    deadline: datetime | None
    """When the default is taken."""
    is_free: bool
    """Whether it may be answered in other words than the options."""
    asked_by: str
    """A role, `human`, or `orchestrator`."""
    status: DecisionStatus
    resolution: str | None
    roles: tuple[str, ...]
    created_at: datetime
    resolved_at: datetime | None
    how_to_answer: str | None
    """A line to type, with the first option; None when nobody is asked any more."""
    failures: tuple[FailureRead, ...] = ()
    """The runs it is about that failed."""
    note: str | None = None
    """What an answer does not do, and the commands that do."""


class RoleStanding(Read):
    """Where a role stands in the current phase run."""

    state: Readiness
    reason: str
    version: int
    current: bool
    """Whether its verdict was given on the latest version of everyone it reviews."""
    updated_at: datetime
    condition: str = ""
    """How it is doing, in a word: its verdict, or `starting`, `failed`, `cannot start`, `to retry`, …"""
    why: str = ""
    """Why it keeps its phase from ending, as a predicate of its name; nothing if it does not."""


class Lacking(Read):
    """One thing without which the phase does not end."""

    role: str | None
    """Whose it is; None for what the system does: a merge, the check."""
    why: str
    """A predicate of the role's name; without a role, what is to come."""


class Consensus(Read):
    """Whether the phase agrees, and who keeps it from that."""

    agents: Mapping[str, RoleStanding]
    is_complete: bool
    blocking_agents: tuple[str, ...]
    has_objections: bool
    lacking: tuple[Lacking, ...] = ()
    """All that is still to come before the phase may end."""


class MessageCounts(Read):
    """How many messages there are."""

    total: int
    by_type: Mapping[str, int]


class ProgressRead(Read):
    """How far an agent run said it is."""

    text: str
    percent: int | None
    at: datetime


class AgentStanding(Read):
    """The latest agent run of a role in the current phase run."""

    role: str
    status: RunStatus
    condition: str = ""
    """How it fares or has ended, in a word: its status, or `no verdict`, `cannot start`, `stopped`, …"""
    run: UUID
    node: str | None
    isolation: str = "process"
    """How it is isolated there: as a `process`, or by `docker` in a container of its own."""
    container_id: str | None = None
    """The name of its container, while there is one; None for a process."""
    started_at: datetime | None
    tokens: None = None
    """Programs do not count tokens."""
    progress: ProgressRead | None = None
    """What it last said of how far it is."""


class Concurrent(Read):
    """The current phase run while it lives: who is there, who says what, who talks."""

    enabled: bool
    max_concurrent_agents: int
    messages: MessageCounts
    consensus: Consensus
    agents: tuple[AgentStanding, ...]


class ResultRead(Read):
    """A role's typed result."""

    id: int
    phase: str
    iteration: int
    role: str
    run: UUID
    parse_status: ParseStatus
    stands: bool
    """Whether it is the newest of its role in its phase run that could be read."""
    fields: dict[str, JsonValue]
    faults: tuple[str, ...]
    """What keeps a block in the run's output from being a result."""
    raw: str | None
    """The words it was read from, where they were asked for."""
    timestamp: datetime


class HaltRead(Read):
    """An order that nothing starts anywhere."""

    why: str
    ordered_at: datetime
    lifted_at: datetime | None


class StatusRead(Read):
    """Where a pipeline stands."""

    id: str
    status: PipelineStatus
    rerun_of: str | None = None
    """The pipeline it repeats."""
    is_rerun_of_deleted: bool = False
    current_phase: str | None
    iteration: int | None
    phase_status: PhaseStatus | None
    stop_reason: StopReason | None
    iterations_used: int | None
    max_iterations: int | None
    """How often the current phase may be run until it converges; None where it is not repeated."""
    results: tuple[ResultRead, ...]
    """Those that stand in the current phase run."""
    why: str
    pending_decisions: tuple[DecisionRead, ...]
    concurrent: Concurrent
    messages_total: int
    halt: HaltRead | None = None
    """What keeps agents from starting in every pipeline."""
    rebase: RebaseRead | None = None
    """The newest one."""


class Waiting(Read):
    """A role that keeps its phase from ending, and why."""

    role: str
    state: Readiness
    why: str
    condition: str = ""
    """How it is doing, in a word."""


class WhyRead(Read):
    """What a pipeline waits for, read from the decision function's own inputs."""

    pipeline: str
    status: PipelineStatus
    phase: str | None
    why: str
    waiting: tuple[Waiting, ...]
    decisions: tuple[DecisionRead, ...]
    halt: HaltRead | None = None
    """What keeps agents from starting in every pipeline."""
    leftovers: tuple[str, ...] = ()
    """Work that is on no role's branch: set aside, or kept in a clone; a sentence for each."""
    failures: tuple[FailureRead, ...] = ()
    """The same as of the pipeline."""
