"""Views: the rules by which a phase run's rows become what `decide` sees of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from models.consensus import endings
from models.consensus.policy import RolePolicy
from models.consensus.snapshot import CheckView, RoleView, RunView
from models.consensus.step import Cause
from models.states import LIVE_RUNS, CheckStatus, Failure, MergeStatus, Readiness, RunStatus


@dataclass(frozen=True)
class RoleRow:
    """A role, and the newest message that wakes it and that no run of it has handled."""

    role: str
    position: int
    state: Readiness
    is_dropped: bool
    blocked_on: str | None
    version: int
    dispatched: int
    runs: int
    extra_rounds: int
    owed_by_decision: int | None
    waking_message: int | None


@dataclass(frozen=True)
class RunRow:
    """An agent run of the phase run, of a role or of a check."""

    id: UUID
    role: str | None
    number: int
    status: RunStatus
    causes: tuple[str, ...]
    verdict: Readiness | None
    owes_verdict: bool
    failure: Failure | None
    reported_failure: Failure | None
    stopped_for: Failure | None
    exit_code: int | None
    exit_signal: int | None
    error: str
    last_line: str
    is_cut_short: bool
    stop_at: datetime | None
    converge_at: datetime | None
    retry_at: datetime | None
    last_active_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True)
class VersionRow:
    """A version and what merging it came to."""

    role: str
    number: int
    merge_status: MergeStatus
    conflict_paths: tuple[str, ...]


@dataclass(frozen=True)
class CheckRow:
    """What the check said of a commit, and the run that said it last."""

    number: int
    commit: str
    status: CheckStatus
    attempts: int
    errors: int
    ended_at: datetime | None
    agent_run_id: UUID | None


@dataclass(frozen=True)
class SeenRow:
    """What a role had of another when it last gave a verdict."""

    role: str
    other: str
    at_verdict: int


class Ended(Protocol):
    """What an end is judged by: a row of an agent run, or what was read of one."""

    @property
    def status(self) -> RunStatus:
        """Where it is in its life."""

    @property
    def verdict(self) -> Readiness | None:
        """The last its agent gave."""

    @property
    def owes_verdict(self) -> bool:
        """Whether it was started for a verdict."""

    @property
    def is_cut_short(self) -> bool:
        """Whether it was stopped before its time."""

    @property
    def failure(self) -> Failure | None:
        """What it has failed by."""

    @property
    def reported_failure(self) -> Failure | None:
        """What its agent said it fails by."""

    @property
    def stopped_for(self) -> Failure | None:
        """What it was stopped for, by a person or a deadline."""

    @property
    def exit_code(self) -> int | None:
        """Of its program."""

    @property
    def exit_signal(self) -> int | None:
        """What killed its program."""

    @property
    def error(self) -> str:
        """What was said of it."""


@dataclass(frozen=True)
class ByRole:
    """The rows of a phase run, each where its role looks for it."""

    runs: Mapping[str, Sequence[RunRow]]
    versions: Mapping[tuple[str, int], VersionRow]
    seen: Mapping[str, Mapping[str, int]]
    said_at: Mapping[str, datetime]
    unclosed_elsewhere: Collection[str]


def role_view(role: RoleRow, policy: RolePolicy, rows: ByRole) -> RoleView:
    """A role as decisions see it, with what its runs owe and have handled."""
    runs = sorted(rows.runs.get(role.role, ()), key=lambda run: run.number)
    ended = [run for run in runs if run.status not in LIVE_RUNS]
    live = next((run for run in runs if run.status in LIVE_RUNS), None)
    last = run_view(ended[-1]) if ended else None
    if role.role in rows.unclosed_elsewhere:
        last = RunView(number=0, is_live=False, is_closed=False)
    version = rows.versions.get((role.role, role.version))
    return RoleView(
        policy=policy,
        position=role.position,
        state=role.state,
        is_dropped=role.is_dropped,
        blocked_on=role.blocked_on,
        version=role.version,
        merge=version.merge_status if version else None,
        conflict_paths=version.conflict_paths if version else (),
        seen=rows.seen.get(role.role, {}),
        waking_message=role.waking_message,
        dispatched=role.dispatched,
        runs=role.runs,
        extra_rounds=role.extra_rounds,
        owed_by_decision=role.owed_by_decision,
        live=run_view(live, said_at=rows.said_at.get(role.role)) if live else None,
        last=last,
        trailing=trailing_failures(ended),
        handled=handled_causes(ended),
    )


def run_view(run: RunRow, *, said_at: datetime | None = None) -> RunView:
    """An agent run as decisions see it; *said_at* is when its role last sent a message, if that matters."""
    return RunView(
        number=run.number,
        is_live=run.status in LIVE_RUNS,
        is_closed=run.closed_at is not None,
        causes=tuple(Cause.parse(cause) for cause in run.causes),
        verdict=run.verdict,
        owes_verdict=run.owes_verdict,
        failure=run.failure,
        ended_at=run.ended_at,
        active_at=active_at(run, said_at),
        converge_at=run.converge_at,
        is_stopping=run.stop_at is not None,
        is_cut_short=run.is_cut_short,
        retry_at=run.retry_at if run.failure is run.reported_failure else None,
        is_started=run.status not in {RunStatus.QUEUED, RunStatus.STARTING},
        how=how_it_ended(run),
        last_line=run.last_line,
    )


def check_view(checks: Iterable[CheckRow], runs: Iterable[RunRow], tip: str | None) -> CheckView | None:
    """What the check said of the work branch's tip."""
    check = next((check for check in checks if check.commit == tip), None)
    if check is None:
        return None
    run = next((run for run in runs if run.id == check.agent_run_id), None)
    return CheckView(
        number=check.number,
        commit=check.commit,
        status=check.status,
        attempts=check.attempts,
        errors=check.errors,
        ended_at=check.ended_at,
        how=how_it_ended(run) if run else "",
        last_line=run.last_line if run else "",
    )


def gave_what_it_owed(run: Ended) -> bool:
    """Whether a run that ended did so after a verdict, or well, at its own time and owing none."""
    ended_well = run.status is RunStatus.SUCCEEDED and not run.is_cut_short
    return run.verdict is not None or (ended_well and not run.owes_verdict)


def how_it_ended(run: Ended) -> str:
    """How a run came to a bad end, in words; nothing for one that lives or ended as it should."""
    if run.status in LIVE_RUNS or gave_what_it_owed(run):
        return ""
    return endings.how(
        failure=run.failure,
        exit_code=run.exit_code,
        signal=run.exit_signal,
        error=run.error,
        is_named=run.failure in {run.stopped_for, run.reported_failure} or run.is_cut_short,
    )


def trailing_failures(ended: Sequence[RunRow]) -> tuple[RunView, ...]:
    """The last runs that did not give what they owed, with no good one after them."""
    trailing: list[RunView] = []
    for run in ended:
        trailing = [] if gave_what_it_owed(run) else [*trailing, run_view(run)]
    return tuple(trailing)


def handled_causes(ended: Iterable[RunRow]) -> frozenset[Cause]:
    """The causes that need no run any more: those of runs that gave what they owed."""
    good = (run for run in ended if gave_what_it_owed(run))
    return frozenset(Cause.parse(cause) for run in good for cause in run.causes)


def is_superseded_merging(all_versions: Collection[VersionRow]) -> bool:
    """Whether a version is being merged although its role has a later one."""
    newest: dict[str, int] = {}
    for version in all_versions:
        newest[version.role] = max(version.number, newest.get(version.role, 0))
    merging = (version for version in all_versions if version.merge_status is MergeStatus.MERGING)
    return any(version.number < newest[version.role] for version in merging)


def active_at(run: RunRow, said_at: datetime | None) -> datetime | None:
    """When a run that is there last showed life, by a message too."""
    if run.status is not RunStatus.RUNNING:
        return None
    return max(at for at in (run.last_active_at, run.started_at, said_at) if at is not None)
