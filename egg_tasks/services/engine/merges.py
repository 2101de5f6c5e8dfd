"""Merges: a version's way into the work branch."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.outbox import VersionKey
from egg_tasks.services.engine import epochs, evaluation, steps
from egg_tasks.services.engine.epochs import Epoch
from models.events import EventType
from models.queries import phase_runs, pipelines, versions
from models.schemas.git import Conflicted, Merged
from models.states import LIVE_PHASES, MergeStatus, PhaseStatus, PipelineStatus
from models.tables import Version, merge_to
from models.tries import BOUNDS, Work

BOUND = BOUNDS[Work.MERGE]


@dataclass(frozen=True)
class MergeOrder:
    """A merge to make: the work branch's commit as it was read, and the version's."""

    pipeline_id: str
    work_commit: str
    commit: str
    message: str


def order(session: Session, *, version: VersionKey) -> MergeOrder | None:
    """Read what is to be merged; None when it is not, or no longer, under way."""
    row = _find(session, version)
    if row is None or row.merge_status is not MergeStatus.MERGING:
        return None
    phase_run = phase_runs.get_phase_run(session, phase_run_id=version.phase_run_id)
    pipeline = pipelines.get_pipeline(session, pipeline_id=phase_run.pipeline_id)
    assert pipeline.work_commit is not None, "nothing is dispatched before there is a repository"  # noqa: S101
    message = f"Merge {version.role} version {version.number} [{phase_run.phase} {phase_run.iteration}]"
    return MergeOrder(pipeline.id, pipeline.work_commit, row.commit, message)


def settle(
    session: Session,
    *,
    version: VersionKey,
    made: MergeOrder,
    result: Merged | Conflicted,
    now: datetime,
) -> None:
    """Write a merge's result if the epoch lives and the work branch is where it was read; then go on."""
    epoch = epochs.lock(session, phase_run_id=version.phase_run_id, now=now)
    row = _find_under_way(session, epoch, version)
    if row is None:
        return
    if epoch.pipeline.work_commit != made.work_commit:
        row.send_after = now
        return
    name = f"{version.role}'s version {version.number}"
    if isinstance(result, Merged):
        _merged(epoch, row, result)
        kind, text = EventType.BRANCH_MERGED, f"{name} is merged"
    else:
        merge_to(row, MergeStatus.CONFLICTED)
        row.conflict_paths = list(result.paths)
        kind, text = EventType.BRANCH_CONFLICTED, f"{name} conflicts in {', '.join(result.paths)}"
    epoch.phase_run.facts += 1
    epoch.tell(kind, text, role=version.role)
    evaluation.settle(epoch)


def failed(session: Session, *, version: VersionKey, why: str, now: datetime) -> None:
    """Put a merge off that could not be made now; one that was tried often enough is refused."""
    epoch = epochs.lock(session, phase_run_id=version.phase_run_id, now=now)
    row = _find_under_way(session, epoch, version)
    if row is None:
        return
    row.tries += 1
    if BOUND.is_over(row.tries):
        refused(session, version=version, why=f"it was tried {row.tries} times: {why}", now=now)
        return
    row.send_after = now + BOUND.pause(row.tries)


def refused(session: Session, *, version: VersionKey, why: str, now: datetime) -> None:
    """Fail the pipeline of a merge that can never be made: its repository is gone, or lacks the commits."""
    epoch = epochs.lock(session, phase_run_id=version.phase_run_id, now=now)
    if _find_under_way(session, epoch, version) is None:
        return
    sentence = f"{version.role}'s version {version.number} cannot be merged: {why}"
    steps.cancel(epoch, PipelineStatus.FAILED, why=sentence)


def _find_under_way(session: Session, epoch: Epoch, key: VersionKey) -> Version | None:
    row = _find(session, key)
    is_stale = epoch.phase_run.status not in LIVE_PHASES - {PhaseStatus.CLOSING}
    return None if row is None or row.merge_status is not MergeStatus.MERGING or is_stale else row


def _find(session: Session, key: VersionKey) -> Version | None:
    return versions.find_version(session, phase_run_id=key.phase_run_id, role=key.role, number=key.number)


def _merged(epoch: Epoch, version: Version, result: Merged) -> None:
    version.merge_commit = result.commit
    merge_to(version, MergeStatus.MERGED)
    version.merged_at = epoch.now
    epoch.pipeline.work_commit = result.commit
    epoch.pipeline.tip_owner = version.role
