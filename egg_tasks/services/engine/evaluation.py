"""Evaluation: decide what a phase run does next, write it, and so on until it is at rest."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.engine import deadlines, epochs, sleep, steps
from egg_tasks.services.engine.epochs import Epoch
from models.consensus.decide import decide
from models.consensus.snapshot import Snapshot
from models.consensus.step import Wait
from models.queries.snapshots import load_snapshot
from models.states import LIVE_PHASES, PipelineStatus

MAX_STEPS = 200
"""More steps in one evaluation than any roster can need: a rule that repeats itself is a bug."""


def evaluate(session: Session, *, phase_run_id: UUID, now: datetime) -> None:
    """Decide until there is nothing to do but wait; safe at any time, any number of times."""
    settle(epochs.lock(session, phase_run_id=phase_run_id, now=now))


def settle(epoch: Epoch) -> None:
    """The same for an epoch whose locks the caller holds and whose rows it has just changed."""
    epoch.session.flush()
    for _ in range(MAX_STEPS):
        if epoch.phase_run.status not in LIVE_PHASES or epoch.pipeline.status is PipelineStatus.PAUSED:
            break
        step = decide(snapshot_of(epoch))
        deadlines.follow(epoch.phase_run, step, now=epoch.now)
        steps.write(epoch, step)
        epoch.session.flush()
        if isinstance(step, Wait):
            break
    else:
        raise RuntimeError(f"phase run {epoch.phase_run.id} does not come to rest")


def snapshot_of(epoch: Epoch) -> Snapshot:
    """The epoch as `decide` sees it; notes up to where its facts were read.

    `JustAwake` while deadlines may be about to move, since the machine has slept.
    """
    phase_run = epoch.phase_run
    snapshot, last_message, ticked_at = load_snapshot(
        epoch.session,
        pipeline=epoch.pipeline,
        phase_run=phase_run,
        policy=epoch.policy,
        now=epoch.now,
    )
    sleep.refuse(ticked_at=ticked_at, now=epoch.now)
    phase_run.evaluated_facts, phase_run.evaluated_message = phase_run.facts, last_message
    return snapshot
