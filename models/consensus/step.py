"""What `decide` may answer. Nothing else moves a phase."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.states import Failure, StopReason


class CauseKind(StrEnum):
    """Why a role is due."""

    FIRST = "first"
    MESSAGE = "message"
    UNBLOCKED = "unblocked"
    STALE = "stale"
    OBJECTION = "objection"
    ANSWERED = "answered"
    CONFLICT = "conflict"
    CHECK = "check"
    RETRY = "retry"
    RECOVERY = "recovery"
    REBASED = "rebased"


@dataclass(frozen=True, order=True)
class Cause:
    """One reason to run a role's agent, told apart from every other by what it speaks of.

    *number* counts what the kind counts: a message's id, a version, an objection, a run, an attempt.
    """

    kind: CauseKind
    role: str = ""
    number: int = 0
    round: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.role}:{self.number}:{self.round}"

    @classmethod
    def parse(cls, text: str) -> "Cause":
        """Read what `str()` wrote."""
        kind, role, number, rounds = text.split(":")
        return cls(CauseKind(kind), role, int(number), int(rounds))


class DecisionKind(StrEnum):
    """What a person is asked about."""

    FAILURE = "failure"
    FAILURES = "failures"
    STALL = "stall"
    BOUND = "bound"
    CHECK = "check"
    ABANDONED = "abandoned"
    QUESTION = "question"
    DEADLINE = "deadline"
    GATE = "gate"
    REBASE = "rebase"
    ORDER = "order"
    """What a person decided unasked: it is written down as answered."""


ASKED_FOR_WORDS = frozenset({DecisionKind.QUESTION, DecisionKind.GATE})
"""Their options are anybody's words: an answer is told to agents and is never read as an order of ours."""

HOLDS_NOBODY = frozenset({DecisionKind.QUESTION, DecisionKind.REBASE})
"""Agents go on while these wait for an answer."""

RETRY = "Retry (respawn agent)"
ABORT = "Abort phase"
CONTINUE = "Continue without"
OVERRIDE = "Override objections"
WAIT = "Wait for resolution"
ACCEPT = "Accept current state"
RETRY_PHASE = "Retry phase"
CANCEL_PIPELINE = "Cancel pipeline"
CONTINUE_WAITING = "Continue waiting"
KEEP_BASE = "Go on without it"
TAKE_BASE = "Try the base again"


@dataclass(frozen=True)
class Assignment:
    """A role to run now, and why."""

    role: str
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class Dispatch:
    """Start these roles' agents."""

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class Integrate:
    """Merge a role's version into the work branch."""

    role: str
    version: int


@dataclass(frozen=True)
class IntegrateBase:
    """Merge the present base into the work branch, as a person wished."""

    number: int


@dataclass(frozen=True)
class RunCheck:
    """Run the phase's check on this commit."""

    commit: str


@dataclass(frozen=True)
class Drop:
    """Let the phase go on without this role, as its definition says."""

    role: str
    why: str


@dataclass(frozen=True)
class Close:
    """End the phase well: nothing more is dispatched or merged."""

    reason: StopReason


@dataclass(frozen=True)
class Fail:
    """End the phase badly."""

    why: str


@dataclass(frozen=True)
class Restart:
    """End this phase run as superseded and start the phase anew, from the roles' own branches."""


@dataclass(frozen=True)
class Cancel:
    """End the pipeline, because a person said so."""

    why: str


@dataclass(frozen=True)
class Shortfall:
    """One thing a phase's results lack, and the roles it is for."""

    text: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Advance:
    """The closing phase run is quiet: end it and start what follows.

    *unmet* is what it still lacks where no iteration is left.
    """

    unmet: tuple[Shortfall, ...] = ()


@dataclass(frozen=True)
class Iterate:
    """The closing phase run is quiet and has not converged: end it and begin its phase's next iteration."""

    shortfalls: tuple[Shortfall, ...]


@dataclass(frozen=True)
class Wait:
    """Nothing to do until something happens; *until* when that is a moment in time."""

    why: str
    until: datetime | None = None
    on_person: bool = False


@dataclass(frozen=True)
class Ask:
    """Put a question to a person. The same key is never asked twice in a phase run."""

    key: str
    kind: DecisionKind
    question: str
    options: tuple[str, ...]
    default: str
    roles: tuple[str, ...] = ()
    is_free: bool = False
    """Whether it may be answered in other words, too."""
    deadline: datetime | None = None
    """When the default is taken."""
    happened: str = ""
    """What it follows from, where that is an event of its own."""


@dataclass(frozen=True)
class Converge:
    """Ask every agent to write down what it has and to give its verdict."""


@dataclass(frozen=True)
class Nudge:
    """Ask the same of one role, whose agent is not active."""

    role: str


@dataclass(frozen=True)
class StopRun:
    """Stop a role's agent; its run has failed by *why*."""

    role: str
    why: Failure


Step = (
    Dispatch
    | Integrate
    | IntegrateBase
    | RunCheck
    | Drop
    | Close
    | Fail
    | Restart
    | Cancel
    | Advance
    | Iterate
    | Wait
    | Ask
    | Converge
    | Nudge
    | StopRun
)
