"""A phase run as `decide` sees it: one frozen value, built from rows in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from models.consensus.policy import Mode, PhasePolicy, RolePolicy
from models.consensus.step import HOLDS_NOBODY, Cause, DecisionKind
from models.states import (
    CheckStatus,
    Failure,
    MergeStatus,
    ObjectionStatus,
    PhaseStatus,
    Readiness,
    RebaseStatus,
    StopReason,
)

BASE = "the-base"
"""What stands for the base where roles stand: no role can be called so."""


@dataclass(frozen=True)
class RunView:
    """An agent run of a role, as far as decisions need it."""

    number: int
    is_live: bool
    is_closed: bool
    """Whether its process is stopped and its work safe."""
    causes: tuple[Cause, ...] = ()
    verdict: Readiness | None = None
    """READY, BLOCKED or OBJECTING as it last said, None when it said none."""
    owes_verdict: bool = False
    failure: Failure | None = None
    """None for a run that ended well or still lives."""
    ended_at: datetime | None = None
    active_at: datetime | None = None
    """When a running one last did something; None while it is not running."""
    converge_at: datetime | None = None
    """When it was last asked to converge."""
    is_stopping: bool = False
    """Whether it is to end, or has a time by which it is."""
    is_cut_short: bool = False
    """Whether the system, and no fault of its own, ends it: its phase's time is up, or all is stopped."""
    retry_at: datetime | None = None
    """When it may be tried again, as its agent said."""
    is_started: bool = True
    """Whether its process is there, or was."""
    how: str = ""
    """How its process ended, in words, if it ended badly."""
    last_line: str = ""
    """The last line it wrote then."""


@dataclass(frozen=True)
class RoleView:
    """One role in this phase run."""

    policy: RolePolicy
    position: int
    state: Readiness = Readiness.WORKING
    is_dropped: bool = False
    blocked_on: str | None = None
    version: int = 0
    merge: MergeStatus | None = None
    """What became of the latest version; None before there is one."""
    conflict_paths: tuple[str, ...] = ()
    seen: Mapping[str, int] = field(default_factory=dict)
    """The latest version of each role it had in its clone when it last gave a verdict."""
    waking_message: int | None = None
    """The newest message that wakes it and that no run of it has handled."""
    dispatched: int = 0
    """How often it was dispatched in this phase run."""
    runs: int = 0
    """How often it was dispatched since its counters were last reset."""
    extra_rounds: int = 0
    owed_by_decision: int | None = None
    """The decision whose answer gives it one more run."""
    live: RunView | None = None
    last: RunView | None = None
    """Its latest run that is not live, in whatever epoch it was."""
    trailing: tuple[RunView, ...] = ()
    """Its ended runs of this phase run since the last one that gave what it owed, oldest first."""
    handled: frozenset[Cause] = frozenset()
    """Causes of its runs that gave what they owed."""

    @property
    def name(self) -> str:
        """The role."""
        return self.policy.role


@dataclass(frozen=True)
class ObjectionView:
    """What is wrong with a version of one role, says another."""

    number: int
    from_role: str
    about_role: str
    version: int
    status: ObjectionStatus
    round: int
    opened_at: datetime
    upheld_over_words: int = 0
    """How often it was upheld against an answer that changed nothing."""

    @property
    def is_live(self) -> bool:
        """Whether it still stands against the phase."""
        return self.status in {ObjectionStatus.OPEN, ObjectionStatus.ANSWERED}


@dataclass(frozen=True)
class DecisionView:
    """A question that was put to a person in this phase run."""

    number: int
    key: str
    kind: DecisionKind
    roles: tuple[str, ...]
    is_pending: bool
    resolution: str | None = None


@dataclass(frozen=True)
class CheckView:
    """What the check said of the work branch's tip."""

    number: int
    commit: str
    status: CheckStatus
    attempts: int
    errors: int = 0
    ended_at: datetime | None = None
    how: str = ""
    """How its last run ended, in words, unless it was green."""
    last_line: str = ""
    """The last line that one wrote."""


@dataclass(frozen=True)
class RebaseView:
    """The present base on its way into the work branch."""

    number: int
    status: RebaseStatus
    commit: str | None = None
    conflict_paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResultView:
    """The result of a role that stands in a phase run, as far as its phase's criteria need it."""

    role: str
    test_pass_rate: float | None = None
    coverage: float | None = None
    critical_issues: int | None = None
    failed_tests: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deadlines:
    """The moments of a phase run by its own clock, which stands still while only a person is waited for."""

    soft: datetime | None = None
    """When its agents are asked to converge; None where there is no such time."""
    converge_at: datetime | None = None
    """When they were asked."""
    hard: datetime | None = None
    """When they are stopped; known once they were asked."""


@dataclass(frozen=True)
class Snapshot:
    """Everything a phase run's next step follows from."""

    now: datetime
    status: PhaseStatus
    policy: PhasePolicy
    roles: tuple[RoleView, ...]
    tip: str | None
    """The work branch's commit, or None until the repository is prepared."""
    tip_owner: str | None = None
    """The role whose version was merged last."""
    objections: tuple[ObjectionView, ...] = ()
    decisions: tuple[DecisionView, ...] = ()
    check: CheckView | None = None
    """The check of the tip; None when it was not run there."""
    is_check_live: bool = False
    is_superseded_merging: bool = False
    """Whether a version that is no longer its role's latest is being merged."""
    unclosed_runs: int = 0
    """Runs of this phase run, of roles and of checks, that are not yet stopped and safe."""
    stop_reason: StopReason | None = None
    """Why a closing phase run ends well; None when it ends badly, or does not close."""
    results: tuple[ResultView, ...] = ()
    """What stands of the present roles' results, looked at when the phase run closes."""
    iterations_used: int = 1
    """Iterations of its phase so far, itself included."""
    extra_iterations: int = 0
    """So many more than its policy allows, as a person granted."""
    restarts: int = 0
    """How often its phase was begun anew without that being an iteration."""
    deadlines: Deadlines = Deadlines()
    rebase: RebaseView | None = None
    """The present base as long as it is not in, and not given up."""
    base_number: int = 0
    """The newest rebase of this phase run, which its roles are to see; 0 where there was none."""

    @cached_property
    def present(self) -> tuple[RoleView, ...]:
        """The roles that were not dropped, in roster order."""
        return tuple(role for role in self.roles if not role.is_dropped)

    @cached_property
    def required(self) -> tuple[RoleView, ...]:
        """The present roles consensus asks for."""
        return tuple(role for role in self.present if role.policy.required)

    @cached_property
    def by_name(self) -> Mapping[str, RoleView]:
        """The present roles by name; a dropped one is not in it."""
        return {role.name: role for role in self.present}

    @cached_property
    def live_objections(self) -> tuple[ObjectionView, ...]:
        """Objections that still stand against the phase."""
        return tuple(objection for objection in self.objections if objection.is_live)

    @cached_property
    def pending(self) -> Sequence[DecisionView]:
        """Questions no person has answered yet."""
        return tuple(decision for decision in self.decisions if decision.is_pending)

    @cached_property
    def holding(self) -> Sequence[DecisionView]:
        """Questions that hold somebody back until they are answered; what an agent asks holds nobody."""
        return tuple(question for question in self.pending if question.kind not in HOLDS_NOBODY)

    @property
    def is_converging(self) -> bool:
        """Whether agents were asked to converge, so that no more reviews of newer versions are wanted."""
        return self.deadlines.converge_at is not None

    @property
    def is_rebasing(self) -> bool:
        """Whether the present base is being merged just now."""
        return self.rebase is not None and self.rebase.status is RebaseStatus.MERGING

    @property
    def is_merging(self) -> bool:
        """Whether a merge is under way; there is at most one at a time."""
        return (
            self.is_rebasing
            or self.is_superseded_merging
            or any(role.merge is MergeStatus.MERGING for role in self.roles)
        )

    @property
    def is_quiet(self) -> bool:
        """Whether no run and no merge is under way, so that nothing happens before a person says so."""
        are_safe = all(role.last is None or role.last.is_closed for role in self.present)
        return self.unclosed_runs == 0 and are_safe and not self.is_merging

    @property
    def is_sequential(self) -> bool:
        """Whether at most one agent may run at a time."""
        return self.policy.mode is Mode.SEQUENTIAL

    def was_asked(self, key: str) -> bool:
        """Whether the question was put before, answered or not."""
        return any(decision.key == key for decision in self.decisions)
