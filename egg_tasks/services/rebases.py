"""Rebases: the base of a repository as it is now comes into a work branch on which agents work."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.services import journal, phases
from egg_tasks.services.merges import PAUSES
from egg_tasks.services.verdicts import Epoch
from models.consensus.verdict import KEEP_BASE, TAKE_BASE, DecisionKind
from models.errors import Conflict
from models.queries import decisions, phase_runs, pipelines, rebases
from models.schemas.git import Conflicted, Merged
from models.schemas.message import MessageType
from models.states import DecisionStatus, PhaseStatus, PipelineStatus, RebaseStatus, is_final
from models.tables import Decision, Pipeline, Rebase, move_to

MOST_TRIES = 5
"""So often the present base is fetched and merged before that is given up."""
UNDER_WAY = frozenset({RebaseStatus.PENDING, RebaseStatus.MERGING})


@dataclass(frozen=True)
class RebaseOrder:
    """A base to fetch and to merge, and the work branch's commit as it was read."""

    pipeline_id: str
    work_commit: str
    source: str
    base: str | None
    commit: str | None
    """What the base stands for, where that is known and held already."""

    def message(self, commit: str) -> str:
        """What the merge is called."""
        return f"Merge the present base {self.base or 'HEAD'} at {commit[:10]} [{self.pipeline_id}]"


def wish(session: Session, *, pipeline_id: str, commit: str | None, now: datetime) -> Rebase:
    """Have the present base merged into a pipeline's work branch; the same wish again changes nothing.

    *commit* is what the base stands for, if the pipeline's repository holds it already. `Conflict` in a state
    in which nothing can be merged any more, or yet.
    """
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    epoch = _lock_mergeable(session, pipeline, now)
    live = rebases.find_live_rebase(session, pipeline_id=pipeline_id)
    if live is not None and live.status in UNDER_WAY:
        if commit not in {None, live.commit}:
            raise Conflict(
                f"an earlier base is being merged into {pipeline_id} just now: try again in a moment",
                {"commit": live.commit},
            )
        return live
    if live is not None:
        _give_up(session, live, now)
        _withdraw(session, epoch, DecisionKind.REBASE)
    row = _add(session, pipeline, commit=commit, now=now)
    journal.record(
        session,
        "branch.rebase_requested",
        f"a person wants the present base{_at(commit)} in the work branch",
        now=now,
        pipeline=pipeline,
        phase_run=epoch.phase_run,
    )
    epoch.phase_run.facts += 1
    phases.settle(session, epoch)
    return row


def order(session: Session, *, number: int) -> RebaseOrder | None:
    """Read what is to be merged; None when it is not, or no longer, under way."""
    row = rebases.find_rebase(session, number=number)
    if row is None or row.status is not RebaseStatus.MERGING:
        return None
    pipeline = pipelines.get_pipeline(session, pipeline_id=row.pipeline_id)
    assert pipeline.work_commit is not None, "a rebase is refused before there is a repository"  # noqa: S101
    definition = pipeline.definition
    return RebaseOrder(pipeline.id, pipeline.work_commit, definition.repo, definition.base, row.commit)


def settle(
    session: Session,
    *,
    number: int,
    made: RebaseOrder,
    commit: str,
    result: Merged | Conflicted,
    now: datetime,
) -> None:
    """Write what merging *commit* came to if the work branch is where it was read; then go on."""
    found = _lock_under_way(session, number, now)
    if found is None:
        return
    epoch, row = found
    if epoch.pipeline.work_commit != made.work_commit:
        row.send_after = now
        return
    row.commit, row.why, row.ended_at = commit, "", now
    if isinstance(result, Merged):
        _merged(session, epoch, row, result)
    else:
        move_to(row, RebaseStatus.CONFLICTED)
        row.conflict_paths = list(result.paths)
        text = f"the present base{_at(commit)} conflicts in {', '.join(result.paths)}"
        _record(session, epoch, "branch.conflicted", text)
    epoch.phase_run.facts += 1
    phases.settle(session, epoch)


def failed(session: Session, *, number: int, why: str, is_final: bool, now: datetime) -> None:
    """Put off a rebase that could not be made now; give up one that never can, or was tried often enough."""
    found = _lock_under_way(session, number, now)
    if found is None:
        return
    epoch, row = found
    row.tries += 1
    row.why = why
    if not is_final and row.tries < MOST_TRIES:
        row.send_after = now + PAUSES.after(row.tries)
        return
    move_to(row, RebaseStatus.FAILED)
    row.ended_at = now
    text = f"the present base is not merged, and the work goes on without: {why}"
    _record(session, epoch, "branch.rebase_failed", text)
    epoch.phase_run.facts += 1
    phases.settle(session, epoch)


def answered(session: Session, epoch: Epoch, decision: Decision) -> None:
    """Take a person's answer to a conflict of the base."""
    row = rebases.find_live_rebase(session, pipeline_id=epoch.pipeline.id)
    if row is None or decision.key != key(row) or decision.resolution not in {KEEP_BASE, TAKE_BASE}:
        return
    _give_up(session, row, epoch.now)
    if decision.resolution == TAKE_BASE:
        _add(session, epoch.pipeline, commit=None, now=epoch.now)


def key(row: Rebase) -> str:
    """The key of the question about a conflict."""
    return f"rebase:{row.id}"


def _lock_mergeable(session: Session, pipeline: Pipeline, now: datetime) -> Epoch:
    """The current phase run, locked; `Conflict` with the way out where nothing can be merged into it."""
    name = pipeline.id
    details: dict[str, object] = {"status": str(pipeline.status)}
    again = f"to work from the present base: egg pipeline rerun {name}"
    if is_final(pipeline.status):
        raise Conflict(f"{name} is {pipeline.status}, and its work branch stays as it is; {again}", details)
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=name)
    if pipeline.status is PipelineStatus.PENDING or phase_run is None:
        raise Conflict(f"{name} has not started: cancel it (egg pipeline cancel {name}); {again}", details)
    if pipeline.work_commit is None:
        raise Conflict(
            f"the repository of {name} is still being prepared; what it waits for: egg why {name}", details
        )
    if phase_run.status is PhaseStatus.CLOSING:
        raise Conflict(
            f"{phase_run.phase} of {name} is closing, and nothing is merged into it any more; answer what it"
            f" asks (egg why {name}), and try again when the next phase runs, or {again}",
            {**details, "phase_status": str(phase_run.status)},
        )
    return phases.lock_epoch(session, phase_run_id=phase_run.id, now=now)


def _lock_under_way(session: Session, number: int, now: datetime) -> tuple[Epoch, Rebase] | None:
    """A rebase that is being merged, with the phase run it is merged in; None when it is over, or put off."""
    unlocked = rebases.find_rebase(session, number=number)
    if unlocked is None or unlocked.status is not RebaseStatus.MERGING:
        return None
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=unlocked.pipeline_id)
    if phase_run is None:
        return None
    epoch = phases.lock_epoch(session, phase_run_id=phase_run.id, now=now)
    row = rebases.find_rebase(session, number=number)
    is_stale = epoch.phase_run.ended_at is not None or epoch.phase_run.status is PhaseStatus.CLOSING
    if row is None or row.status is not RebaseStatus.MERGING or is_stale:
        return None
    return epoch, row


def _merged(session: Session, epoch: Epoch, row: Rebase, result: Merged) -> None:
    is_new = result.commit != epoch.pipeline.work_commit
    row.merge_commit = result.commit
    row.phase_run_id = epoch.phase_run.id if is_new else None
    move_to(row, RebaseStatus.MERGED)
    epoch.pipeline.work_commit = result.commit
    if not is_new:
        text = f"the work branch has the present base{_at(row.commit)} already"
        _record(session, epoch, "branch.rebased", text)
        return
    text = f"the present base{_at(row.commit)} is merged into the work branch"
    _record(session, epoch, "branch.rebased", text)
    # They are about a commit that is no longer the tip.
    _withdraw(session, epoch, DecisionKind.CHECK)
    journal.announce(
        session,
        MessageType.DIRECTIVE,
        text,
        now=epoch.now,
        phase_run=epoch.phase_run,
        body="A person brought it in. `egg sync` merges it into your clone: see whether your work holds.",
    )


def _add(session: Session, pipeline: Pipeline, *, commit: str | None, now: datetime) -> Rebase:
    row = Rebase(
        pipeline_id=pipeline.id,
        status=RebaseStatus.PENDING,
        commit=commit,
        conflict_paths=[],
        why="",
        tries=0,
        created_at=now,
    )
    rebases.add_rebase(session, rebase=row)
    return row


def _give_up(session: Session, row: Rebase, now: datetime) -> None:
    move_to(row, RebaseStatus.CANCELLED)
    row.ended_at = now
    # The index of live ones must see this one ended before another begins.
    session.flush()


def _withdraw(session: Session, epoch: Epoch, kind: DecisionKind) -> None:
    """Take back questions that were overtaken."""
    for decision in decisions.list_decisions(session, phase_run_id=epoch.phase_run.id, is_pending=True):
        if decision.kind is kind:
            move_to(decision, DecisionStatus.CANCELLED)
            decision.notify_after = None


def _record(session: Session, epoch: Epoch, kind: str, text: str) -> None:
    journal.record(session, kind, text, now=epoch.now, pipeline=epoch.pipeline, phase_run=epoch.phase_run)


def _at(commit: str | None) -> str:
    return f" at {commit[:10]}" if commit else ""
