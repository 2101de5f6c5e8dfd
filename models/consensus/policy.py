"""The rules one phase plays by, pinned when its pipeline is created; the schemas build them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from models.consensus.role_kinds import RoleKind


class Mode(StrEnum):
    """Which first dispatches wait for which."""

    SEQUENTIAL = "sequential"
    WAVES = "waves"
    CONCURRENT = "concurrent"


class OnFailure(StrEnum):
    """What follows when an agent of a role has failed."""

    ASK = "ask"
    RETRY = "retry"
    CONTINUE = "continue"
    ABORT = "abort"


@dataclass(frozen=True)
class NeedPolicy:
    """A role that must be settled and merged first; a soft one counts in waves only."""

    role: str
    hard: bool = False


@dataclass(frozen=True)
class RolePolicy:
    """What the definition says of one role in one phase."""

    role: str
    required: bool = True
    needs: tuple[NeedPolicy, ...] = ()
    reviews: tuple[str, ...] = ()
    on_failure: OnFailure = OnFailure.ASK
    agent: str = ""
    """The agent of the definition that plays it; the one of the role's own name when empty."""
    kind: RoleKind | None = None


@dataclass(frozen=True)
class CheckPolicy:
    """A shell command that must succeed on the merged commit, and who mends it."""

    run: str
    owner: str | None = None


@dataclass(frozen=True)
class Criteria:
    """What a phase's results must reach before the phase is left; what is None is not asked for."""

    test_pass_rate: float | None = None
    """At least so many per cent."""
    coverage: float | None = None
    """At least so many per cent."""
    critical_issues: int | None = None
    """At most so many."""
    open_issues: int | None = None
    """At most so many."""


DEFAULT_CRITERIA = Criteria(test_pass_rate=90, coverage=80, critical_issues=0, open_issues=3)


@dataclass(frozen=True)
class GatePolicy:
    """What a person is asked before the phase is left; the first option lets it go."""

    question: str
    options: tuple[str, ...]
    default: str
    after: timedelta | None = None
    """When the default is taken; None when the gate waits for ever."""


@dataclass(frozen=True)
class PhasePolicy:
    """What the definition says of one phase. The numbers are domain.md's defaults."""

    name: str
    roles: tuple[RolePolicy, ...]
    mode: Mode = Mode.WAVES
    check: CheckPolicy | None = None
    gate: GatePolicy | None = None
    max_concurrent_agents: int = 4
    max_rounds: int = 6
    objection_grace: timedelta = timedelta(seconds=20)
    verdict_grace: timedelta = timedelta(seconds=30)
    max_recoveries: int = 2
    max_startup_retries: int = 3
    max_loss_retries: int = 3
    max_quota_retries: int = 10
    convergence: Criteria | None = None
    """What a phase that is repeated until it converges must reach."""
    max_iterations: int = 5
    consensus_timeout: timedelta = timedelta(minutes=30)
    finalize: timedelta = timedelta(minutes=3)
    idle_timeout: timedelta = timedelta(minutes=60)

    def role(self, name: str) -> RolePolicy:
        """The policy of the role called *name*; a name that is not in the roster is a bug."""
        return next(role for role in self.roles if role.role == name)

    def reporting_kind(self, name: str) -> RoleKind | None:
        """The kind whose result a role owes: that of no kind where the phase is not judged by results."""
        return self.role(name).kind if self.convergence is not None else None
