"""Which roles have a reason to run now."""

from collections.abc import Iterator
from datetime import datetime

from models.consensus.policy import Mode
from models.consensus.retries import failure, granted, is_granted, ready_at
from models.consensus.settled import (
    check_owner,
    has_unseen_base,
    is_ready,
    live_objections_about,
    unseen_versions,
    unsettled_reason,
)
from models.consensus.snapshot import RoleView, Snapshot
from models.consensus.step import Cause, CauseKind
from models.consensus.treatments import FREE_RUNS, RESTS
from models.states import CheckStatus, MergeStatus, ObjectionStatus, Readiness


def new_causes(snapshot: Snapshot, role: RoleView) -> tuple[Cause, ...]:
    """Everything the role should run for that no run of it has dealt with; empty while it may not run."""
    return () if rests_until(snapshot, role) else _new_causes(snapshot, role)


def rests_until(snapshot: Snapshot, role: RoleView) -> datetime | None:
    """Until when a role that has run often rests, although there is something to run for.

    None when it does not: a question to a person, or a run that a person grants, waits for nothing.
    """
    last = role.last
    if role.runs < FREE_RUNS or is_at_bound(snapshot, role) or is_granted(role):
        return None
    if last is None or last.ended_at is None or not _new_causes(snapshot, role):
        return None
    at = last.ended_at + RESTS.after(role.runs - FREE_RUNS + 1)
    return at if at > snapshot.now else None


def may_run(snapshot: Snapshot, role: RoleView) -> bool:
    """Whether nothing holds the role back: no live run, its last one safe, no question about it open.

    While the present base is being merged nobody begins: it would be on the old one.
    """
    is_free = role.live is None and (role.last is None or role.last.is_closed)
    is_asked = any(role.name in question.roles or not question.roles for question in snapshot.holding)
    return is_free and not is_asked and not role.is_dropped and not snapshot.is_rebasing


def is_at_bound(snapshot: Snapshot, role: RoleView) -> bool:
    """Whether the role has used up its dispatches in this phase run."""
    return role.runs >= snapshot.policy.max_rounds + role.extra_rounds


def grace_ends_at(snapshot: Snapshot, role: RoleView) -> datetime | None:
    """Until when open objections about the role wait for other reviewers to speak; None when they do not."""
    against = live_objections_about(snapshot, role)
    opened = [objection.opened_at for objection in against if objection.status is ObjectionStatus.OPEN]
    objectors = {objection.from_role for objection in against}
    silent = (other for other in _reviewers(snapshot, role) if other.name not in objectors)
    if not opened or all(_has_spoken(other, role) for other in silent):
        return None
    ends_at = min(opened) + snapshot.policy.objection_grace
    return ends_at if ends_at > snapshot.now else None


def _is_handled(cause: Cause, role: RoleView) -> bool:
    # How far a role is with its messages the rows say alone: a prompt may have had no room for this one.
    return cause.kind is not CauseKind.MESSAGE and cause in role.handled


def _new_causes(snapshot: Snapshot, role: RoleView) -> tuple[Cause, ...]:
    if not may_run(snapshot, role) or failure(snapshot, role) or snapshot.now < ready_at(snapshot, role):
        return ()
    causes = tuple(cause for cause in _causes(snapshot, role) if not _is_handled(cause, role))
    return causes if role.dispatched or _mode_allows(snapshot, role) else ()


def _causes(snapshot: Snapshot, role: RoleView) -> Iterator[Cause]:
    yield Cause(CauseKind.FIRST)
    if role.waking_message is not None:
        yield Cause(CauseKind.MESSAGE, number=role.waking_message)
    yield from _owed(role)
    yield from _from_others(snapshot, role)
    yield from _from_objections(snapshot, role)
    if role.merge is MergeStatus.CONFLICTED:
        yield Cause(CauseKind.CONFLICT, number=role.version)
    check = snapshot.check
    if check and check.status is CheckStatus.RED and check_owner(snapshot) is role:
        yield Cause(CauseKind.CHECK, number=check.number, round=check.attempts)


def _owed(role: RoleView) -> Iterator[Cause]:
    if cause := granted(role):
        yield cause
    if role.trailing:
        last = role.trailing[-1]
        kind = CauseKind.RECOVERY if last.failure is None else CauseKind.RETRY
        yield Cause(kind, number=last.number)


def _from_others(snapshot: Snapshot, role: RoleView) -> Iterator[Cause]:
    if role.state is Readiness.BLOCKED and role.blocked_on:
        other = snapshot.by_name.get(role.blocked_on)
        if other is None:
            yield Cause(CauseKind.UNBLOCKED, role.blocked_on)
        elif other.version > role.seen.get(other.name, 0) and _is_merged(other):
            yield Cause(CauseKind.UNBLOCKED, other.name, other.version)
    if is_ready(snapshot, role) and not snapshot.is_converging:
        if has_unseen_base(snapshot, role):
            yield Cause(CauseKind.REBASED, number=snapshot.base_number)
        for other in unseen_versions(snapshot, role):
            if _is_merged(other):
                yield Cause(CauseKind.STALE, other.name, other.version)


def _from_objections(snapshot: Snapshot, role: RoleView) -> Iterator[Cause]:
    is_in_grace = grace_ends_at(snapshot, role) is not None
    for objection in snapshot.live_objections:
        if objection.about_role == role.name and objection.status is ObjectionStatus.OPEN and not is_in_grace:
            yield Cause(CauseKind.OBJECTION, objection.from_role, objection.number, objection.round)
        accused = snapshot.by_name.get(objection.about_role)
        is_own = objection.from_role == role.name and objection.status is ObjectionStatus.ANSWERED
        if is_own and accused is not None and _is_merged(accused):
            yield Cause(CauseKind.ANSWERED, objection.about_role, objection.number, objection.round)


def _mode_allows(snapshot: Snapshot, role: RoleView) -> bool:
    mode = snapshot.policy.mode
    if mode is Mode.SEQUENTIAL:
        earlier = (other for other in snapshot.present if other.position < role.position)
        return all(other.dispatched for other in earlier)
    needs = (need.role for need in role.policy.needs if need.hard or mode is Mode.WAVES)
    present = (snapshot.by_name[name] for name in needs if name in snapshot.by_name)
    # A role that objected and was overruled is settled without a version: nothing of it is merged.
    return all(
        unsettled_reason(snapshot, other) is None and other.merge in {None, MergeStatus.MERGED}
        for other in present
    )


def _reviewers(snapshot: Snapshot, role: RoleView) -> tuple[RoleView, ...]:
    return tuple(other for other in snapshot.present if role.name in other.policy.reviews)


def _has_spoken(reviewer: RoleView, role: RoleView) -> bool:
    if reviewer.state is Readiness.BLOCKED:
        return True
    has_seen = reviewer.seen.get(role.name, 0) >= role.version
    return reviewer.state is not Readiness.WORKING and has_seen


def _is_merged(role: RoleView) -> bool:
    return role.merge is MergeStatus.MERGED
