"""Rebases: the base of a repository as it is now comes into a work branch on which agents work."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.services.engine import bases, epochs, evaluation
from egg_tasks.services.engine.epochs import Epoch
from models.consensus.step import DecisionKind
from models.errors import Conflict
from models.events import EventType
from models.queries import decisions, phase_runs, pipelines, rebases
from models.schemas.git import Conflicted, Merged
from models.schemas.message import MessageType
from models.states import DecisionStatus, PhaseStatus, PipelineStatus, RebaseStatus, is_final
from models.tables import Pipeline, Rebase, move_to
from models.tries import BOUNDS, Work

BOUND = BOUNDS[Work.REBASE]
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
        bases.give_up(session, live, now=now)
        _withdraw(epoch, DecisionKind.REBASE)
    row = bases.add(session, pipeline, commit=commit, now=now)
    text = f"a person wants the present base{_at(commit)} in the work branch"
    epoch.tell(EventType.BRANCH_REBASE_REQUESTED, text)
    epoch.phase_run.facts += 1
    evaluation.settle(epoch)
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
        _merged(epoch, row, result)
    else:
        move_to(row, RebaseStatus.CONFLICTED)
        row.conflict_paths = list(result.paths)
        text = f"the present base{_at(commit)} conflicts in {', '.join(result.paths)}"
        epoch.tell(EventType.BRANCH_CONFLICTED, text)
    epoch.phase_run.facts += 1
    evaluation.settle(epoch)


def failed(session: Session, *, number: int, why: str, is_final: bool, now: datetime) -> None:
    """Put off a rebase that could not be made now; give up one that never can, or was tried often enough."""
    found = _lock_under_way(session, number, now)
    if found is None:
        return
    epoch, row = found
    row.tries += 1
    row.why = why
    if not is_final and not BOUND.is_over(row.tries):
        row.send_after = now + BOUND.pause(row.tries)
        return
    move_to(row, RebaseStatus.FAILED)
    row.ended_at = now
    text = f"the present base is not merged, and the work goes on without: {why}"
    epoch.tell(EventType.BRANCH_REBASE_FAILED, text)
    epoch.phase_run.facts += 1
    evaluation.settle(epoch)


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
    return epochs.lock(session, phase_run_id=phase_run.id, now=now)


def _lock_under_way(session: Session, number: int, now: datetime) -> tuple[Epoch, Rebase] | None:
    """A rebase that is being merged, with the phase run it is merged in; None when it is over, or put off."""
    unlocked = rebases.find_rebase(session, number=number)
    if unlocked is None or unlocked.status is not RebaseStatus.MERGING:
        return None
    phase_run = phase_runs.find_live_phase_run(session, pipeline_id=unlocked.pipeline_id)
    if phase_run is None:
        return None
    epoch = epochs.lock(session, phase_run_id=phase_run.id, now=now)
    row = rebases.find_rebase(session, number=number)
    is_stale = epoch.phase_run.ended_at is not None or epoch.phase_run.status is PhaseStatus.CLOSING
    if row is None or row.status is not RebaseStatus.MERGING or is_stale:
        return None
    return epoch, row


def _merged(epoch: Epoch, row: Rebase, result: Merged) -> None:
    is_new = result.commit != epoch.pipeline.work_commit
    row.merge_commit = result.commit
    row.phase_run_id = epoch.phase_run.id if is_new else None
    move_to(row, RebaseStatus.MERGED)
    epoch.pipeline.work_commit = result.commit
    if not is_new:
        text = f"the work branch has the present base{_at(row.commit)} already"
        epoch.tell(EventType.BRANCH_REBASED, text)
        return
    text = f"the present base{_at(row.commit)} is merged into the work branch"
    epoch.tell(EventType.BRANCH_REBASED, text)
    # They are about a commit that is no longer the tip.
    _withdraw(epoch, DecisionKind.CHECK)
    body = "A person brought it in. `egg sync` merges it into your clone: see whether your work holds."
    epoch.announce(MessageType.DIRECTIVE, text, body=body)


def _withdraw(epoch: Epoch, kind: DecisionKind) -> None:
    """Take back questions that were overtaken."""
    for decision in decisions.list_decisions(epoch.session, phase_run_id=epoch.phase_run.id, is_pending=True):
        if decision.kind is kind:
            move_to(decision, DecisionStatus.CANCELLED)
            decision.notify_after = None


def _at(commit: str | None) -> str:
    return f" at {commit[:10]}" if commit else ""
