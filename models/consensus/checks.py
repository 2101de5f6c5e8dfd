"""The phase's check: when it is run, when again, and when running it again leads nowhere."""

from datetime import datetime

from models.consensus.deadlines import is_over
from models.consensus.settled import agrees_but_for_check, check_owner
from models.consensus.snapshot import CheckView, Snapshot
from models.consensus.step import RETRY, WAIT, Cause, CauseKind
from models.consensus.treatments import CHECK_PAUSES, MAX_CHECK_ERRORS
from models.states import CheckStatus, Readiness


def wants_check(snapshot: Snapshot) -> bool:
    """Whether all else holds and the check of the tip is to be run, for the first time or again.

    Once the phase's time is up it is not run again before a person has said so.
    """
    if snapshot.policy.check is None or snapshot.is_check_live:
        return False
    if not agrees_but_for_check(snapshot, but_stale=snapshot.is_converging):
        return False
    check = snapshot.check
    if check is None:
        return True
    if is_over(snapshot):
        return False
    if check.status is CheckStatus.ERROR:
        return check.errors < _errors_allowed(snapshot, check) and retried_at(snapshot) is None
    return check.status is CheckStatus.RED and check.attempts == 1 and _was_shown(snapshot, check)


def retried_at(snapshot: Snapshot) -> datetime | None:
    """When a check that could not be run is tried again, if that is still to come; None when it is not."""
    check = snapshot.check
    if check is None or check.status is not CheckStatus.ERROR or check.ended_at is None:
        return None
    # What a person has tried again begins to be counted anew, and waits for nothing.
    times = check.errors % MAX_CHECK_ERRORS
    agrees = agrees_but_for_check(snapshot, but_stale=snapshot.is_converging)
    if not times or is_over(snapshot) or not agrees:
        return None
    at = check.ended_at + CHECK_PAUSES.after(times)
    return at if at > snapshot.now else None


def dead_end(snapshot: Snapshot) -> str | None:
    """Why the check of the tip does not become green by itself, as its predicate; None as long as it may."""
    check, owner = snapshot.check, check_owner(snapshot)
    if check is None or owner is None:
        return None
    if check.status is CheckStatus.RED and check.attempts > 1 and owner.live is None:
        return "is red again without a change"
    is_broken = check.status is CheckStatus.ERROR and check.errors >= _errors_allowed(snapshot, check)
    agrees = agrees_but_for_check(snapshot, but_stale=snapshot.is_converging)
    return "cannot be run" if is_broken and agrees else None


def _was_shown(snapshot: Snapshot, check: CheckView) -> bool:
    """Whether the check's owner has seen its red result and answered READY without a change."""
    owner = check_owner(snapshot)
    cause = Cause(CauseKind.CHECK, number=check.number, round=check.attempts)
    return (
        owner is not None and owner.live is None and owner.state is Readiness.READY and cause in owner.handled
    )


def _errors_allowed(snapshot: Snapshot, check: CheckView) -> int:
    """A person who answers Retry or Wait about a check that cannot be run has it tried as often again."""
    answers = [d.resolution for d in snapshot.decisions if d.key.startswith(f"check:{check.number}:")]
    return MAX_CHECK_ERRORS * (1 + sum(answer in {RETRY, WAIT} for answer in answers))
