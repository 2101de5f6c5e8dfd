"""Time: when agents are asked to converge, when they are stopped, and which of them do nothing."""

from datetime import datetime

from models.consensus.policy import PhasePolicy
from models.consensus.settled import unmade, unsettled
from models.consensus.snapshot import RunView, Snapshot
from models.consensus.step import (
    ABORT,
    ACCEPT,
    CONTINUE_WAITING,
    Ask,
    Converge,
    DecisionKind,
    Nudge,
    StopRun,
    Wait,
)
from models.states import Failure


def hold(snapshot: Snapshot) -> Wait | None:
    """The wait for a person's word after the hard deadline: nothing new is started or asked meanwhile."""
    asked = [question for question in snapshot.pending if question.kind is DecisionKind.DEADLINE]
    if not asked:
        return None
    why = f"a person's answer to decision {asked[0].number}: the time is up"
    return Wait(why, on_person=snapshot.is_quiet)


def pass_by(snapshot: Snapshot) -> Converge | Ask | None:
    """What follows from a deadline that is over: first all are asked to converge, then a person is asked."""
    soft, hard = snapshot.deadlines.soft, snapshot.deadlines.hard
    if not snapshot.is_converging:
        return Converge() if soft is not None and soft <= snapshot.now else None
    if hard is None or hard > snapshot.now:
        return None
    number = 1 + sum(question.kind is DecisionKind.DEADLINE for question in snapshot.decisions)
    reasons = "; ".join(f"{role.name} {reason}" for role, reason in unsettled(snapshot))
    reasons = reasons or "; ".join(unmade(snapshot))
    said = f"{snapshot.policy.name} has not come to its end in its time"
    question = f"{said}: {reasons}. What now?" if reasons else f"{said}. What now?"
    options = (CONTINUE_WAITING, ACCEPT, ABORT)
    return Ask(f"deadline:{number}", DecisionKind.DEADLINE, question, options, ABORT)


def idle(snapshot: Snapshot) -> Nudge | StopRun | None:
    """What is done about the first agent that has not been active for too long: it is asked, then stopped."""
    for role in snapshot.roles:
        idle_at = _idle_at(snapshot, role.live)
        if role.live is None or idle_at is None or idle_at > snapshot.now:
            continue
        stop_at = _stop_at(snapshot.policy, role.live, idle_at)
        if stop_at is None:
            return Nudge(role.name)
        if stop_at <= snapshot.now:
            return StopRun(role.name, Failure.TIMEOUT)
    return None


def is_over(snapshot: Snapshot) -> bool:
    """Whether the hard deadline has passed and no person has given the phase more time."""
    hard = snapshot.deadlines.hard
    return hard is not None and hard <= snapshot.now


def moments(snapshot: Snapshot) -> list[datetime]:
    """The times at which a rule above may speak."""
    at = snapshot.deadlines.hard if snapshot.is_converging else snapshot.deadlines.soft
    found = [] if at is None else [at]
    for role in snapshot.roles:
        idle_at = _idle_at(snapshot, role.live)
        if role.live is not None and idle_at is not None:
            found.append(_stop_at(snapshot.policy, role.live, idle_at) or idle_at)
    return found


def until_when(snapshot: Snapshot) -> str:
    """That the phase converges and until when, as the end of a sentence; empty when it does not."""
    hard = snapshot.deadlines.hard
    if not snapshot.is_converging or hard is None:
        return ""
    return f"; the phase converges until {hard:%H:%M:%S} UTC"


def extended(hard: datetime, *, soft: datetime, now: datetime, policy: PhasePolicy) -> datetime:
    """The hard deadline after a new version or verdict: later, but not for ever."""
    return max(hard, min(now + policy.finalize, soft + 2 * policy.finalize))


def _idle_at(snapshot: Snapshot, run: RunView | None) -> datetime | None:
    """When a run counts as idle if nothing comes of it; None while that is not asked."""
    if run is None or run.active_at is None or run.is_stopping:
        return None
    return run.active_at + snapshot.policy.idle_timeout


def _stop_at(policy: PhasePolicy, run: RunView, idle_at: datetime) -> datetime | None:
    """When an idle run is stopped; None while it was not asked to converge for being idle."""
    if run.converge_at is None or run.converge_at < idle_at:
        return None
    return run.converge_at + policy.finalize
