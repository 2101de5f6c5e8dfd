"""Failures that come together: two agents within a minute are a fault of the phase, not of one agent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from models.consensus import endings
from models.consensus.policy import OnFailure
from models.consensus.questions import WHAT_NOW
from models.consensus.retries import failure
from models.consensus.snapshot import RoleView, Snapshot
from models.consensus.step import CANCEL_PIPELINE, RETRY_PHASE, Ask, DecisionKind, Wait
from models.consensus.treatments import TREATMENTS

WINDOW = timedelta(seconds=60)
ALL_STOPPED = f"They failed within {WINDOW.seconds} s of each other, so all agents were stopped."


def stop(snapshot: Snapshot) -> Ask | Wait | None:
    """The question put when two or more agents have failed together, and the wait for its answer."""
    open_questions = [question for question in snapshot.pending if question.kind is DecisionKind.FAILURES]
    if open_questions:
        why = f"a person's answer to decision {open_questions[0].number}: agents failed together"
        return Wait(why, on_person=snapshot.is_quiet)
    failed = failed_together(snapshot)
    if not failed:
        return None
    key = f"failures:{sum(role.dispatched for role in snapshot.roles)}"
    said = endings.joined(_told(failed), ALL_STOPPED)
    options = (RETRY_PHASE, CANCEL_PIPELINE)
    return Ask(
        key, DecisionKind.FAILURES, endings.joined(said, WHAT_NOW), options, CANCEL_PIPELINE, happened=said
    )


def _told(failed: Sequence[RoleView]) -> str:
    """How each failed; those that did as another one are only named beside it."""
    alike: dict[str, list[str]] = {}
    for role in failed:
        alike.setdefault(endings.ended(role.trailing[-1]), []).append(role.name)
    return "; ".join(
        f"{first} {how}" + (f"; likewise {', '.join(others)}" if others else "")
        for how, (first, *others) in alike.items()
    )


def failed_together(snapshot: Snapshot) -> tuple[RoleView, ...]:
    """The required roles whose failures no retry mends and that lie within a minute of another such one."""
    failed = [role for role in snapshot.required if _counts(snapshot, role)]
    failed.sort(key=_failed_at)
    close = [pair for pair in pairwise(failed) if _failed_at(pair[1]) - _failed_at(pair[0]) <= WINDOW]
    names = {role.name for pair in close for role in pair}
    return tuple(role for role in failed if role.name in names)


def _counts(snapshot: Snapshot, role: RoleView) -> bool:
    is_gone_on_without = role.policy.on_failure is OnFailure.CONTINUE
    why = failure(snapshot, role)
    return why is not None and TREATMENTS[why].counts_together and not is_gone_on_without


def _failed_at(role: RoleView) -> datetime:
    ended_at = role.trailing[-1].ended_at
    assert ended_at is not None, "a run that failed has ended"  # noqa: S101
    return ended_at
