"""What a run that ended badly is owed: whether its role is tried again by itself, and when."""

from datetime import datetime

from models.consensus.policy import OnFailure
from models.consensus.snapshot import RoleView, Snapshot
from models.consensus.step import Cause, CauseKind
from models.consensus.treatments import TREATMENTS, retries
from models.states import Failure


def failure(snapshot: Snapshot, role: RoleView) -> Failure | None:
    """The class of failure that the role's own retries do not mend, until a person or policy answers it."""
    if role.live is not None or not role.trailing or is_granted(role):
        return None
    last = role.trailing[-1].failure
    why = last or Failure.NO_VERDICT
    allowed = retries(snapshot.policy, why)
    is_retried = role.policy.on_failure is OnFailure.RETRY and not TREATMENTS[why].asks_always
    return why if not is_retried and _count(role, last) > allowed else None


def ready_at(snapshot: Snapshot, role: RoleView) -> datetime:
    """When the role may run again: at once, but for a pause of its own or a quota it shares.

    A run that a person grants waits for nothing.
    """
    if is_granted(role):
        return snapshot.now
    sharing = (other for other in snapshot.roles if _agent(other) == _agent(role))
    paused = [other for other in sharing if _failed_last_by(other) is Failure.QUOTA]
    if role.trailing and not failure(snapshot, role):
        paused.append(role)
    return max([snapshot.now, *(at for at in map(_pause_ends_at, paused) if at)])


def granted(role: RoleView) -> Cause | None:
    """The cause that a person's answer gave the role; None when there is none."""
    number = role.owed_by_decision
    return None if number is None else Cause(CauseKind.RETRY, "decision", number)


def is_granted(role: RoleView) -> bool:
    """Whether a person's answer gave the role a run that it has not had."""
    cause = granted(role)
    if cause is None or cause in role.handled:
        return False
    return not any(cause in run.causes for run in role.trailing)


def _pause_ends_at(role: RoleView) -> datetime | None:
    last = role.trailing[-1]
    if last.is_cut_short or last.ended_at is None:
        return None
    pauses = TREATMENTS[last.failure or Failure.NO_VERDICT].pauses
    least = last.ended_at + pauses.after(_count(role, last.failure))
    return max(least, last.retry_at or least)


def _failed_last_by(role: RoleView) -> Failure | None:
    return role.trailing[-1].failure if role.trailing else None


def _agent(role: RoleView) -> str:
    return role.policy.agent or role.name


def _count(role: RoleView, failure: Failure | None) -> int:
    """How many of its runs ended so since it last gave what it owed or a person let it try once more."""
    cause = granted(role)
    first = next((at for at, run in enumerate(role.trailing) if cause in run.causes), 0)
    return sum(1 for run in role.trailing[first:] if run.failure is failure and not run.is_cut_short)
