"""A phase run as `decide` sees it.

All of it but the messages is written under the phase run's lock, which the caller holds; of messages a
later one only adds a cause, and its sender evaluates again.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from models.consensus import views
from models.consensus.policy import PhasePolicy
from models.consensus.snapshot import Deadlines, ResultView, Snapshot
from models.consensus.views import RoleRow, RunRow
from models.queries import messages, phase_rows, results
from models.queries.phase_rows import PhaseRows
from models.schemas.result import view
from models.states import LIVE_REBASES, CheckStatus, PhaseStatus, RebaseStatus
from models.tables import PhaseRun, Pipeline

MERGED = RebaseStatus.MERGED


class Reading(NamedTuple):
    """A snapshot, and what was true beside it when it was read."""

    snapshot: Snapshot
    last_message: int
    """The newest message of its pipeline."""
    ticked_at: datetime | None
    """When something of ours last ticked; None before anything did."""


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
        roles=tuple(views.role_view(role, policy.role(role.role), by_role) for role in rows.roles),
        tip=pipeline.work_commit,
        tip_owner=pipeline.tip_owner,
        objections=rows.objections,
        decisions=rows.decisions,
        check=views.check_view(rows.checks, rows.runs, pipeline.work_commit),
        is_superseded_merging=views.is_superseded_merging(rows.versions),
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
        if run.role is not None and (active_at := views.active_at(run, None)) and active_at <= idle_since
        if (said_at := messages.find_last_sent_at(session, phase_run_id=phase_run.id, role=run.role))
    }


def _by_role(rows: PhaseRows, said_at: Mapping[str, datetime]) -> views.ByRole:
    runs: dict[str, list[RunRow]] = {}
    for run in rows.runs:
        if run.role is not None:
            runs.setdefault(run.role, []).append(run)
    seen: dict[str, dict[str, int]] = {}
    for row in rows.seen:
        seen.setdefault(row.role, {})[row.other] = row.at_verdict
    versions = {(version.role, version.number): version for version in rows.versions}
    return views.ByRole(runs, versions, seen, said_at, rows.unclosed_elsewhere)
