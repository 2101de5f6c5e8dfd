"""A phase run as `decide` sees it.

All of it but the messages is written under the phase run's lock, which the caller holds; of messages a
later one only adds a cause, and its sender evaluates again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from models.consensus import endings
from models.consensus.policy import PhasePolicy, RolePolicy
from models.consensus.snapshot import (
    CheckView,
    Deadlines,
    ResultView,
    RoleView,
    RunView,
    Snapshot,
)
from models.consensus.step import Cause
from models.queries import messages, phase_rows, results
from models.queries.phase_rows import (
    PhaseRows,
    RoleRow,
    RunRow,
    VersionRow,
)
from models.schemas.result import view
from models.states import (
    LIVE_REBASES,
    LIVE_RUNS,
    CheckStatus,
    MergeStatus,
    PhaseStatus,
    RebaseStatus,
    RunStatus,
)
from models.tables import AgentRun, PhaseRun, Pipeline

MERGED = RebaseStatus.MERGED


class Reading(NamedTuple):
    """A snapshot, and what was true beside it when it was read."""

    snapshot: Snapshot
    last_message: int
    """The newest message of its pipeline."""
    ticked_at: datetime | None
    """When something of ours last ticked; None before anything did."""


@dataclass(frozen=True)
class _ByRole:
    runs: Mapping[str, Sequence[RunRow]]
    versions: Mapping[tuple[str, int], VersionRow]
    seen: Mapping[str, Mapping[str, int]]
    said_at: Mapping[str, datetime]
    unclosed_elsewhere: Collection[str]


def load_snapshot(
    session: Session, *, pipeline: Pipeline, phase_run: PhaseRun, policy: PhasePolicy, now: datetime
) -> Reading:
    """Build the snapshot of a locked phase run."""
    rows = phase_rows.read(session, pipeline_id=pipeline.id, phase_run_id=phase_run.id)
    said_at = _said_at(session, phase_run, rows.runs, policy, now)
    found = _results(session, phase_run, policy, rows.roles)
    snapshot = _snapshot(rows, pipeline, phase_run, policy, now, said_at=said_at, found=found)
    return Reading(snapshot, rows.last_message, rows.ticked_at)


def list_snapshots(
    session: Session, *, seen: Collection[tuple[Pipeline, PhaseRun]], now: datetime
) -> Mapping[UUID, Snapshot]:
    """Build the snapshots of phase runs to look at, by phase run, in one statement.

    Nothing is decided by them: they have no results, and no messages by which a silent agent is not idle.
    """
    rows = phase_rows.read_all(session, phase_run_ids=[phase_run.id for _, phase_run in seen])
    return {
        phase_run.id: _snapshot(
            rows[phase_run.id],
            pipeline,
            phase_run,
            pipeline.definition.phase_policy(phase_run.position),
            now,
            said_at={},
        )
        for pipeline, phase_run in seen
    }


def _snapshot(
    rows: PhaseRows,
    pipeline: Pipeline,
    phase_run: PhaseRun,
    policy: PhasePolicy,
    now: datetime,
    *,
    said_at: Mapping[str, datetime],
    found: tuple[ResultView, ...] = (),
) -> Snapshot:
    by_role = _by_role(rows, said_at)
    return Snapshot(
        now=now,
        status=phase_run.status,
        policy=policy,
        roles=tuple(_role_view(role, policy.role(role.role), by_role) for role in rows.roles),
        tip=pipeline.work_commit,
        tip_owner=pipeline.tip_owner,
        objections=rows.objections,
        decisions=rows.decisions,
        check=_check(rows, pipeline.work_commit),
        is_superseded_merging=_is_superseded_merging(rows.versions),
        is_check_live=any(check.status is CheckStatus.RUNNING for check in rows.checks),
        unclosed_runs=sum(1 for run in rows.runs if run.closed_at is None),
        stop_reason=phase_run.stop_reason,
        results=found,
        iterations_used=phase_run.iterations_used,
        extra_iterations=pipeline.extra_iterations,
        restarts=phase_run.iteration - phase_run.iterations_used,
        rebase=next((rebase for rebase in rows.rebases if rebase.status in LIVE_REBASES), None),
        base_number=max((rebase.number for rebase in rows.rebases if rebase.status is MERGED), default=0),
        deadlines=Deadlines() if rows.is_halted else _deadlines(phase_run, now),
    )


def _results(
    session: Session, phase_run: PhaseRun, policy: PhasePolicy, roles: Iterable[RoleRow]
) -> tuple[ResultView, ...]:
    """What stands of the present roles' results, where they are looked at, in roster order."""
    if phase_run.status is not PhaseStatus.CLOSING or policy.convergence is None:
        return ()
    rows = results.list_results(session, pipeline_id=phase_run.pipeline_id, phase_run_id=phase_run.id)
    standing = {role: row for (_, role), row in results.standing(rows).items()}
    present = [role.role for role in roles if not role.is_dropped]
    return tuple(view(role, standing[role].fields) for role in present if role in standing)


def _check(rows: PhaseRows, tip: str | None) -> CheckView | None:
    """What the check said of the work branch's tip."""
    check = next((check for check in rows.checks if check.commit == tip), None)
    if check is None:
        return None
    run = next((run for run in rows.runs if run.id == check.agent_run_id), None)
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


def how_it_ended(run: AgentRun | RunRow) -> str:
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


def _run_view(run: RunRow, *, said_at: datetime | None = None) -> RunView:
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
        active_at=_active_at(run, said_at),
        converge_at=run.converge_at,
        is_stopping=run.stop_at is not None,
        is_cut_short=run.is_cut_short,
        retry_at=run.retry_at if run.failure is run.reported_failure else None,
        is_started=run.status not in {RunStatus.QUEUED, RunStatus.STARTING},
        how=how_it_ended(run),
        last_line=run.last_line,
    )


def gave_what_it_owed(run: AgentRun | RunRow) -> bool:
    """Whether a run that ended did so after a verdict, or well, at its own time and owing none."""
    ended_well = run.status is RunStatus.SUCCEEDED and not run.is_cut_short
    return run.verdict is not None or (ended_well and not run.owes_verdict)


def _active_at(run: RunRow, said_at: datetime | None) -> datetime | None:
    if run.status is not RunStatus.RUNNING:
        return None
    return max(at for at in (run.last_active_at, run.started_at, said_at) if at is not None)


def _deadlines(phase_run: PhaseRun, now: datetime) -> Deadlines:
    """The deadlines as they are when the phase run's clock goes on now."""
    stood = now - (phase_run.clock_stopped_at or now)
    soft, hard = phase_run.soft_deadline_at, phase_run.hard_deadline_at
    return Deadlines(soft and soft + stood, phase_run.converge_at, hard and hard + stood)


def _said_at(
    session: Session, phase_run: PhaseRun, runs: Iterable[RunRow], policy: PhasePolicy, now: datetime
) -> Mapping[str, datetime]:
    """When the roles last sent a message whose runs seem idle by their rows."""
    idle_since = now - policy.idle_timeout
    return {
        run.role: said_at
        for run in runs
        if run.role is not None and (active_at := _active_at(run, None)) and active_at <= idle_since
        if (said_at := messages.find_last_sent_at(session, phase_run_id=phase_run.id, role=run.role))
    }


def _by_role(rows: PhaseRows, said_at: Mapping[str, datetime]) -> _ByRole:
    runs: dict[str, list[RunRow]] = {}
    for run in rows.runs:
        if run.role is not None:
            runs.setdefault(run.role, []).append(run)
    seen: dict[str, dict[str, int]] = {}
    for row in rows.seen:
        seen.setdefault(row.role, {})[row.other] = row.at_verdict
    versions = {(version.role, version.number): version for version in rows.versions}
    return _ByRole(runs, versions, seen, said_at, rows.unclosed_elsewhere)


def _role_view(role: RoleRow, policy: RolePolicy, rows: _ByRole) -> RoleView:
    runs = sorted(rows.runs.get(role.role, ()), key=lambda run: run.number)
    ended = [run for run in runs if run.status not in LIVE_RUNS]
    live = next((run for run in runs if run.status in LIVE_RUNS), None)
    last = _run_view(ended[-1]) if ended else None
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
        live=_run_view(live, said_at=rows.said_at.get(role.role)) if live else None,
        last=last,
        trailing=_trailing(ended),
        handled=_handled(ended),
    )


def _is_superseded_merging(all_versions: Collection[VersionRow]) -> bool:
    """Whether a version is being merged although its role has a later one."""
    newest: dict[str, int] = {}
    for version in all_versions:
        newest[version.role] = max(version.number, newest.get(version.role, 0))
    merging = (version for version in all_versions if version.merge_status is MergeStatus.MERGING)
    return any(version.number < newest[version.role] for version in merging)


def _trailing(ended: Sequence[RunRow]) -> tuple[RunView, ...]:
    trailing: list[RunView] = []
    for run in ended:
        trailing = [] if gave_what_it_owed(run) else [*trailing, _run_view(run)]
    return tuple(trailing)


def _handled(ended: Iterable[RunRow]) -> frozenset[Cause]:
    good = (run for run in ended if gave_what_it_owed(run))
    return frozenset(Cause.parse(cause) for run in good for cause in run.causes)
