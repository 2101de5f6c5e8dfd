"""What runs have used of their shares, and pipelines of their quotas."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from models.shares import Limit, Share
from models.states import LIVE_RUNS
from models.tables import AgentRun, MessageStream, RunShare
from models.tables.base import SCHEMA, words

SPEND = f"""
INSERT INTO {SCHEMA}.run_shares (agent_run_id, share, number, size, began_at)
SELECT id, :share, 1, :size, :now FROM {SCHEMA}.agent_runs
WHERE id = :run_id AND status IN ({words(*LIVE_RUNS)})
ON CONFLICT (agent_run_id, share) DO UPDATE
SET number = run_shares.number + 1, size = run_shares.size + EXCLUDED.size
WHERE run_shares.number < :number AND run_shares.size + EXCLUDED.size <= :most_size
  AND (CAST(:burst AS integer) IS NULL
       OR run_shares.number < :burst + extract(epoch FROM EXCLUDED.began_at - run_shares.began_at))
RETURNING run_shares.number
"""  # noqa: S608 - the states are ours
_SPEND = text(SPEND)


def spend(session: Session, *, run_id: UUID, share: Share, size: int, limit: Limit, now: datetime) -> bool:
    """Take one of a live run's share, in one statement; False when it is used up, or the run is over."""
    given = {
        "run_id": run_id,
        "share": str(share),
        "size": size,
        "number": limit.number,
        "most_size": limit.size,
        "burst": limit.burst,
        "now": now,
    }
    return session.execute(_SPEND, given).one_or_none() is not None


def find_share(session: Session, *, run_id: UUID, share: Share) -> RunShare | None:
    """What a run has used of a share; None when it has used nothing."""
    return session.get(RunShare, (run_id, str(share)), populate_existing=True)


def mark_refused(session: Session, *, run_id: UUID, share: Share, now: datetime) -> bool:
    """Note that a run's share is used up; whether it was not known yet."""
    query = (
        update(RunShare)
        .where(RunShare.agent_run_id == run_id, RunShare.share == str(share), RunShare.refused_at.is_(None))
        .values(refused_at=now)
        .returning(RunShare.number)
    )
    return session.execute(query).one_or_none() is not None


def list_refused(session: Session, *, pipeline_id: str) -> Sequence[tuple[AgentRun, RunShare]]:
    """The live runs of a pipeline that have used up a share, with that."""
    query = (
        select(AgentRun, RunShare)
        .join(RunShare, RunShare.agent_run_id == AgentRun.id)
        .where(AgentRun.pipeline_id == pipeline_id, AgentRun.status.in_(LIVE_RUNS))
        .where(RunShare.refused_at.is_not(None))
        .order_by(AgentRun.role, RunShare.share)
    )
    return [(run, share) for run, share in session.execute(query)]


def get_stream(session: Session, *, pipeline_id: str) -> MessageStream:
    """A pipeline's counters as they are, not locked."""
    return session.get_one(MessageStream, pipeline_id, populate_existing=True)


def mark_full(session: Session, *, pipeline_id: str, now: datetime) -> bool:
    """Note that a pipeline's messages fill their quota; whether it was not known yet.

    The stream is the last lock of a unit of work.
    """
    query = (
        update(MessageStream)
        .where(MessageStream.pipeline_id == pipeline_id, MessageStream.refused_at.is_(None))
        .values(refused_at=now)
        .returning(MessageStream.pipeline_id)
    )
    return session.execute(query).one_or_none() is not None


def set_quota(session: Session, *, pipeline_id: str, quota: int) -> None:
    """Give a pipeline's messages another quota; what was refused is forgotten. The last lock, as above.

    The shares are locked in the order of their runs, as those who send together lock them.
    """
    runs = select(AgentRun.id).where(AgentRun.pipeline_id == pipeline_id, AgentRun.status.in_(LIVE_RUNS))
    theirs = select(RunShare.agent_run_id).where(
        RunShare.share == str(Share.MESSAGES), RunShare.agent_run_id.in_(runs)
    )
    session.execute(theirs.order_by(RunShare.agent_run_id).with_for_update(key_share=True)).all()
    session.execute(
        update(RunShare)
        .where(RunShare.share == str(Share.MESSAGES), RunShare.agent_run_id.in_(runs))
        .values(refused_at=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(MessageStream)
        .where(MessageStream.pipeline_id == pipeline_id)
        .values(quota=quota, refused_at=None)
        .execution_options(synchronize_session=False)
    )
