"""The machine's sleep: found by whoever ticks first afterwards, and taken out of all that was to come."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from models.errors import JustAwake
from models.queries import clock
from models.schemas.silence import ASLEEP, Silence, common


def tick(session: Session, *, now: datetime) -> datetime | None:
    """Note that something of ours ticks; since when nothing did, if that is to be looked into."""
    ticked_at = clock.tick(session, now=now)
    return None if ticked_at == now else ticked_at


def wake(
    session: Session, *, ticked_at: datetime, silences: Iterable[Sequence[Silence]], now: datetime
) -> timedelta:
    """Take out the time since *ticked_at* in which all were silent, and go on ticking; how long it was.

    *silences* are those of each thing that ticks. Who comes second finds the clock gone on: nothing moves.
    """
    row = clock.lock_clock(session)
    if row.ticked_at != ticked_at:
        return timedelta(0)
    row.ticked_at = now
    asleep = common([[Silence(ticked_at, now)], *silences])
    if not asleep:
        return timedelta(0)
    slept = sum((silence.length for silence in asleep), timedelta(0))
    clock.shift(session, slept=slept, began_at=asleep[0].began_at, woke_at=asleep[-1].ended_at, now=now)
    return slept


def latest(session: Session, *, now: datetime) -> datetime:
    """Up to when a moment may be taken as past: *now*, or soon after the last tick if that is long ago."""
    ticked_at = clock.find_tick(session)
    return now if ticked_at is None else min(now, ticked_at + ASLEEP)


def refuse(*, ticked_at: datetime | None, now: datetime) -> None:
    """Raise `JustAwake` when nothing has ticked for so long that deadlines may be about to move."""
    if ticked_at is not None and now - ticked_at >= ASLEEP:
        raise JustAwake(
            f"nothing here has ticked for {(now - ticked_at).seconds} s: the machine has just woken up, "
            "or the reconciler and the workers are gone; it is tried again in a moment"
        )
