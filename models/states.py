"""States, and which leads to which, as data."""

from collections.abc import Mapping
from enum import StrEnum


class PipelineStatus(StrEnum):
    """Where a pipeline stands."""

    PENDING = "pending"
    RUNNING = "running"
    AWAITING_HUMAN = "awaiting_human"
    PAUSED = "paused"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PhaseStatus(StrEnum):
    """Where a phase run stands."""

    PENDING = "pending"
    RUNNING = "running"
    AWAITING_HUMAN = "awaiting_human"
    CLOSING = "closing"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class RunStatus(StrEnum):
    """Where an agent run stands; container life, never agreement."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"


class Readiness(StrEnum):
    """What a role says of itself; only the role moves it, any to any."""

    WORKING = "WORKING"
    READY = "READY"
    BLOCKED = "BLOCKED"
    OBJECTING = "OBJECTING"


class ObjectionStatus(StrEnum):
    """Where an objection stands."""

    OPEN = "open"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"
    OVERRULED = "overruled"


class DecisionStatus(StrEnum):
    """Where a question to a person stands."""

    PENDING = "pending"
    RESOLVED = "resolved"
    DEFAULTED = "defaulted"
    CANCELLED = "cancelled"


class MergeStatus(StrEnum):
    """What became of a version on its way into the work branch."""

    PENDING = "pending"
    MERGING = "merging"
    MERGED = "merged"
    CONFLICTED = "conflicted"
    SUPERSEDED = "superseded"


class RebaseStatus(StrEnum):
    """What became of the base of a repository, as it is now, on its way into the work branch."""

    PENDING = "pending"
    MERGING = "merging"
    MERGED = "merged"
    CONFLICTED = "conflicted"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CheckStatus(StrEnum):
    """What the phase's check said of one commit."""

    RUNNING = "running"
    GREEN = "green"
    RED = "red"
    ERROR = "error"


class Failure(StrEnum):
    """Why an agent run ended badly; each class has its own policy."""

    STARTUP = "startup"
    SETUP = "setup"
    PROGRAM_MISSING = "program_missing"
    MISSING_CONFIG = "missing_config"
    PROCESS_FAILURE = "process_failure"
    NO_VERDICT = "no_verdict"
    LOST = "lost"
    QUOTA = "quota"
    AUTH = "auth"
    NETWORK = "network"
    CONTEXT_OVERFLOW = "context_overflow"
    TIMEOUT = "timeout"
    DISK = "disk"
    OUT_OF_MEMORY = "out_of_memory"
    STOPPED = "stopped"


class ParseStatus(StrEnum):
    """How a role's result came to be known."""

    SUBMITTED = "submitted"
    PARSED = "parsed"
    INVALID = "invalid"
    MISSING = "missing"


class StopReason(StrEnum):
    """Why a phase run that ended well was closed."""

    CONSENSUS = "consensus"
    CONVERGED = "converged"
    ACCEPTED = "accepted"
    MAX_ITERATIONS = "max_iterations"


NEXT: Mapping[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]] = {
    PipelineStatus: {
        PipelineStatus.PENDING: frozenset({PipelineStatus.RUNNING, PipelineStatus.CANCELLED}),
        PipelineStatus.RUNNING: frozenset(
            {
                PipelineStatus.AWAITING_HUMAN,
                PipelineStatus.PAUSED,
                PipelineStatus.COMPLETE,
                PipelineStatus.FAILED,
                PipelineStatus.CANCELLED,
            }
        ),
        PipelineStatus.AWAITING_HUMAN: frozenset(
            {
                PipelineStatus.RUNNING,
                PipelineStatus.PAUSED,
                PipelineStatus.COMPLETE,
                PipelineStatus.FAILED,
                PipelineStatus.CANCELLED,
            }
        ),
        PipelineStatus.PAUSED: frozenset({PipelineStatus.RUNNING, PipelineStatus.CANCELLED}),
    },
    PhaseStatus: {
        PhaseStatus.PENDING: frozenset({PhaseStatus.RUNNING, PhaseStatus.CANCELLED}),
        PhaseStatus.RUNNING: frozenset(
            {
                PhaseStatus.AWAITING_HUMAN,
                PhaseStatus.CLOSING,
                PhaseStatus.CANCELLED,
                PhaseStatus.SUPERSEDED,
            }
        ),
        PhaseStatus.AWAITING_HUMAN: frozenset(
            {PhaseStatus.RUNNING, PhaseStatus.CLOSING, PhaseStatus.CANCELLED, PhaseStatus.SUPERSEDED}
        ),
        PhaseStatus.CLOSING: frozenset(
            {PhaseStatus.COMPLETE, PhaseStatus.FAILED, PhaseStatus.CANCELLED, PhaseStatus.SUPERSEDED}
        ),
    },
    RunStatus: {
        RunStatus.QUEUED: frozenset({RunStatus.STARTING, RunStatus.FAILED, RunStatus.CANCELLED}),
        RunStatus.STARTING: frozenset(
            {RunStatus.RUNNING, RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.LOST}
        ),
        RunStatus.RUNNING: frozenset(
            {
                RunStatus.SUCCEEDED,
                RunStatus.FAILED,
                RunStatus.TIMED_OUT,
                RunStatus.CANCELLED,
                RunStatus.LOST,
            }
        ),
    },
    ObjectionStatus: {
        ObjectionStatus.OPEN: frozenset(
            {ObjectionStatus.ANSWERED, ObjectionStatus.WITHDRAWN, ObjectionStatus.OVERRULED}
        ),
        ObjectionStatus.ANSWERED: frozenset(
            {ObjectionStatus.OPEN, ObjectionStatus.WITHDRAWN, ObjectionStatus.OVERRULED}
        ),
    },
    DecisionStatus: {
        DecisionStatus.PENDING: frozenset(
            {DecisionStatus.RESOLVED, DecisionStatus.DEFAULTED, DecisionStatus.CANCELLED}
        ),
    },
    MergeStatus: {
        MergeStatus.PENDING: frozenset({MergeStatus.MERGING, MergeStatus.SUPERSEDED}),
        MergeStatus.MERGING: frozenset({MergeStatus.MERGED, MergeStatus.CONFLICTED, MergeStatus.SUPERSEDED}),
    },
    RebaseStatus: {
        RebaseStatus.PENDING: frozenset({RebaseStatus.MERGING, RebaseStatus.CANCELLED}),
        RebaseStatus.MERGING: frozenset(
            {RebaseStatus.MERGED, RebaseStatus.CONFLICTED, RebaseStatus.FAILED, RebaseStatus.PENDING}
        ),
        RebaseStatus.CONFLICTED: frozenset({RebaseStatus.CANCELLED}),
    },
    CheckStatus: {
        CheckStatus.RUNNING: frozenset({CheckStatus.GREEN, CheckStatus.RED, CheckStatus.ERROR}),
        CheckStatus.ERROR: frozenset({CheckStatus.RUNNING}),
        CheckStatus.RED: frozenset({CheckStatus.RUNNING}),
    },
}
"""By kind first: two kinds may share a word, and equal words are equal keys."""

LIVE_RUNS = frozenset({RunStatus.QUEUED, RunStatus.STARTING, RunStatus.RUNNING})
LIVE_PHASES = frozenset(
    {PhaseStatus.PENDING, PhaseStatus.RUNNING, PhaseStatus.AWAITING_HUMAN, PhaseStatus.CLOSING}
)
LIVE_PIPELINES = frozenset({PipelineStatus.RUNNING, PipelineStatus.AWAITING_HUMAN, PipelineStatus.PAUSED})
LIVE_REBASES = frozenset({RebaseStatus.PENDING, RebaseStatus.MERGING, RebaseStatus.CONFLICTED})
LIVE_OBJECTIONS = frozenset({ObjectionStatus.OPEN, ObjectionStatus.ANSWERED})


def is_final(status: StrEnum) -> bool:
    """Whether nothing follows *status*; readiness is never final."""
    return status not in NEXT.get(type(status), {status: None})


def may_become(old: StrEnum, new: StrEnum) -> bool:
    """Whether *new* may follow *old*; every state may follow itself."""
    return old == new or new in NEXT[type(old)].get(old, frozenset())
