"""Halts: no agent and no check starts anywhere, until a person lifts it."""

from datetime import datetime

from sqlalchemy.orm import Session

from egg_tasks.services.agents import scheduling
from models.errors import Halted
from models.queries import halts
from models.queries import places as place_rows
from models.tables import Halt

LIFT = "egg stop-all --lift"


def order(session: Session, *, why: str, stops_running: bool, now: datetime) -> Halt:
    """Let nothing start from the commit on; one that stands already stands on as it is.

    With *stops_running* the agents that live are stopped too; that is a clean end, and they run again
    once the halt is lifted.
    """
    halts.lock_halts(session)
    halt = halts.find_standing_halt(session)
    if halt is None:
        halt = Halt(why=why, ordered_at=now)
        halts.add_halt(session, halt=halt)
    if stops_running:
        for run in place_rows.lock_started_agent_runs(session):
            run.stop_at, run.is_cut_short = min(run.stop_at or now, now), run.stopped_for is None
    return halt


def lift(session: Session, *, now: datetime) -> Halt | None:
    """Let runs start again, the waiting ones at once; None when nothing was halted.

    The deadlines of phase runs move by the time that it stood.
    """
    halts.lock_halts(session)
    halt = halts.find_standing_halt(session)
    if halt is None:
        return None
    halt.lifted_at = max(now, halt.ordered_at)
    session.flush()
    halts.shift_deadlines(session, halt=halt, now=halt.lifted_at)
    for run in place_rows.lock_unattended_agent_runs(session):
        run.send_after, run.sends = now, 0
    session.flush()
    scheduling.send_due(session, now=now)
    return halt


def keeps_out(session: Session) -> Halt | None:
    """The halt that keeps runs from starting; none is ordered before the unit of work ends.

    To be asked before any row is locked.
    """
    halts.share_halts(session)
    return halts.find_standing_halt(session)


def refuse(session: Session) -> None:
    """Raise `Halted` if a halt keeps runs from starting; to be asked before any row is locked."""
    halt = keeps_out(session)
    if halt is not None:
        raise Halted(sentence(halt))


def sentence(halt: Halt) -> str:
    """That it stands, since when, why, and the way out."""
    reason = f" ({halt.why})" if halt.why else ""
    since = halt.ordered_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"all is stopped since {since}{reason}: no agent starts until `{LIFT}`"
