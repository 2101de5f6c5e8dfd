"""Shares: what an agent run may leave behind, and the one place where more is refused."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.bus import events
from models.errors import TooMany, UsedUp
from models.events import EventType
from models.queries import agent_runs, phase_runs, pipelines, shares
from models.shares import KIB, LIMITS, MIB, ROW_BYTES, Limit, Share, message_limit
from models.tables import AgentRun, Message


def spend(session: Session, *, run_id: UUID, share: Share, now: datetime, size: int = 0) -> None:
    """Take one of a run's share, with *size* bytes of words.

    `UsedUp` when nothing of it is left, `TooMany` when it is asked for too fast. A run that is over spends
    nothing: whoever asks finds that out.
    """
    limit = LIMITS[share]
    if not shares.spend(session, run_id=run_id, share=share, size=size, limit=limit, now=now):
        _refuse(session, run_id, share, limit, size=size)


def spend_on(session: Session, *, run: AgentRun, message: Message, now: datetime) -> None:
    """Take a message that is about to be stored from its run's share, if its pipeline's quota has room."""
    stream = shares.get_stream(session, pipeline_id=run.pipeline_id)
    size = message.size + ROW_BYTES
    if stream.stored_bytes + size > stream.quota:
        sentence = _full(run.pipeline_id, stream.quota)
        raise UsedUp(sentence, {"pipeline": run.pipeline_id, "run": str(run.id), "quota": stream.quota})
    limit = message_limit(stream.quota)
    if not shares.spend(session, run_id=run.id, share=Share.MESSAGES, size=size, limit=limit, now=now):
        _refuse(session, run.id, Share.MESSAGES, limit, size=size)


def note(session: Session, *, error: UsedUp, now: datetime) -> None:
    """Put on record, once, that something is used up: an event, and what `egg why` says from then on."""
    run = agent_runs.get_agent_run(session, run_id=UUID(str(error.details["run"])))
    if share := error.details.get("share"):
        is_new = shares.mark_refused(session, run_id=run.id, share=Share(str(share)), now=now)
    else:
        is_new = shares.mark_full(session, pipeline_id=run.pipeline_id, now=now)
    if not is_new:
        return
    events.record(
        session,
        EventType.SHARE_USED_UP,
        error.message,
        now=now,
        pipeline=pipelines.get_pipeline(session, pipeline_id=run.pipeline_id),
        phase_run=phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id),
        role=run.role,
        run_id=run.id,
    )


def used_up(session: Session, *, pipeline_id: str) -> tuple[str, ...]:
    """What live runs of a pipeline, or all of it, have none left of, in sentences."""
    stream = shares.get_stream(session, pipeline_id=pipeline_id)
    rows = shares.list_refused(session, pipeline_id=pipeline_id)
    full = (_full(pipeline_id, stream.quota),) if stream.refused_at else ()
    return full + tuple(
        _sentence(run, Share(row.share), _limit(Share(row.share), stream.quota)) for run, row in rows
    )


def grant(session: Session, *, pipeline_id: str, quota: int, now: datetime) -> None:
    """Let a pipeline store so many bytes of messages; its runs' shares follow."""
    pipeline = pipelines.lock_pipeline(session, pipeline_id=pipeline_id)
    shares.set_quota(session, pipeline_id=pipeline_id, quota=quota)
    text = f"pipeline {pipeline_id} may store {_size(quota)} of messages"
    details: dict[str, object] = {"quota": quota}
    events.record(session, EventType.PIPELINE_QUOTA, text, now=now, pipeline=pipeline, details=details)


def _refuse(session: Session, run_id: UUID, share: Share, limit: Limit, *, size: int) -> None:
    used = shares.find_share(session, run_id=run_id, share=share)
    if used is None:
        return
    run = agent_runs.get_agent_run(session, run_id=run_id)
    if limit.burst is not None and used.number < limit.number and used.size + size <= limit.size:
        raise TooMany(
            f"{events.label(run)} has asked for {used.number} {limit.what} since"
            f" {used.began_at:%H:%M:%S} UTC; there is one a second",
            {"retry_after": 1},
        )
    raise UsedUp(
        _sentence(run, share, limit), {"run": str(run_id), "share": str(share), "limit": limit.number}
    )


def _limit(share: Share, quota: int) -> Limit:
    return message_limit(quota) if share is Share.MESSAGES else LIMITS[share]


def _sentence(run: AgentRun, share: Share, limit: Limit) -> str:
    most = f"{limit.number} in one run, or {_size(limit.size)}"
    used = f"{events.label(run)} has used up its {limit.what}: {most}"
    if share is Share.MESSAGES:
        return f"{used}; a person may raise that: egg pipeline quota {run.pipeline_id} --messages SIZE"
    return f"{used}; give a verdict and end: the next run has its own"


def _full(pipeline_id: str, quota: int) -> str:
    return (
        f"the messages of {pipeline_id} fill their quota of {_size(quota)}, so that agents' are refused;"
        f" a person may raise it: egg pipeline quota {pipeline_id} --messages {_size(2 * quota)}"
    )


def _size(size: int) -> str:
    """A number of bytes as `--messages` takes it."""
    units = {"G": 1024 * MIB, "M": MIB, "K": KIB}
    return next((f"{size // each}{unit}" for unit, each in units.items() if size % each == 0), str(size))
