"""The wish for a present base, as its row stands: made, answered by a person, put off or given up."""

from datetime import datetime

from sqlalchemy.orm import Session

from models.consensus.step import KEEP_BASE, TAKE_BASE
from models.queries import rebases
from models.states import RebaseStatus
from models.tables import Decision, PhaseRun, Pipeline, Rebase, move_to


def add(session: Session, pipeline: Pipeline, *, commit: str | None, now: datetime) -> Rebase:
    """Want the present base of a pipeline; *commit* is what it stands for, where that is known."""
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


def answer(session: Session, pipeline: Pipeline, decision: Decision, *, now: datetime) -> None:
    """Take a person's answer to a conflict of the base."""
    row = rebases.find_live_rebase(session, pipeline_id=pipeline.id)
    if row is None or decision.key != key(row) or decision.resolution not in {KEEP_BASE, TAKE_BASE}:
        return
    give_up(session, row, now=now)
    if decision.resolution == TAKE_BASE:
        add(session, pipeline, commit=None, now=now)


def key(row: Rebase) -> str:
    """The key of the question about a conflict."""
    return f"rebase:{row.id}"


def give_up(session: Session, row: Rebase, *, now: datetime) -> None:
    """Want a base no more."""
    move_to(row, RebaseStatus.CANCELLED)
    row.ended_at = now
    # The index of live ones must see this one ended before another begins.
    session.flush()


def leave(session: Session, phase_run: PhaseRun, *, is_over: bool, now: datetime) -> None:
    """Put off the merge of the base to the next phase run, or give it up with the pipeline."""
    row = rebases.find_live_rebase(session, pipeline_id=phase_run.pipeline_id)
    if row is None:
        return
    if row.status is RebaseStatus.MERGING:
        move_to(row, RebaseStatus.PENDING)
    if is_over:
        move_to(row, RebaseStatus.CANCELLED)
        row.ended_at, row.why = now, f"{phase_run.phase} ended before it was merged"
