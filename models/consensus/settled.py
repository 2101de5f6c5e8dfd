"""Whether a role, and the whole phase, agrees; every no comes with its reason."""

from models.consensus.endings import ended
from models.consensus.snapshot import BASE, ObjectionView, RoleView, Snapshot
from models.foreign import named
from models.states import CheckStatus, MergeStatus, ObjectionStatus, Readiness

NAMED = 10
"""So many paths of a conflict are named in a sentence."""


def unsettled_reason(snapshot: Snapshot, role: RoleView) -> str | None:
    """Why the role is not settled, as a predicate of its name; None when it is.

    While the phase converges a stale READY is as good as a fresh one. A conflict is named before all else:
    until it is mended nothing else brings the role's work anywhere.
    """
    other = _dissent(snapshot, role, but_stale=snapshot.is_converging) or _red_reason(snapshot, role)
    return ", and ".join(filter(None, (conflict_reason(role), other))) or None


def unsettled(snapshot: Snapshot) -> tuple[tuple[RoleView, str], ...]:
    """The roles that are not settled, each with why: conflicts first, advisory roles last."""
    roles = sorted(
        snapshot.present, key=lambda role: (conflict_reason(role) is None, not role.policy.required)
    )
    reasons = ((role, unsettled_reason(snapshot, role)) for role in roles)
    return tuple((role, reason) for role, reason in reasons if reason)


def conflict_reason(role: RoleView) -> str | None:
    """That the role's latest version does not go with the work branch, as a predicate of its name."""
    if role.merge is not MergeStatus.CONFLICTED:
        return None
    paths = named(role.conflict_paths, most=NAMED)
    return f"has a conflict of version {role.version} with the work branch in {paths}"


def is_ready(snapshot: Snapshot, role: RoleView) -> bool:
    """Whether the role says yes: READY, or OBJECTING with every objection of its own overruled."""
    if role.state is Readiness.READY:
        return True
    own = [objection for objection in snapshot.objections if objection.from_role == role.name]
    overruled = any(objection.status is ObjectionStatus.OVERRULED for objection in own)
    return role.state is Readiness.OBJECTING and overruled and not any(o.is_live for o in own)


def unseen_versions(snapshot: Snapshot, role: RoleView) -> tuple[RoleView, ...]:
    """The roles it reviews whose latest version it had not seen at its verdict."""
    reviewed = (snapshot.by_name.get(name) for name in role.policy.reviews)
    return tuple(other for other in reviewed if other and other.version > role.seen.get(other.name, 0))


def has_unseen_base(snapshot: Snapshot, role: RoleView) -> bool:
    """Whether the base has come in anew since the role's verdict, and the role had it not in its clone."""
    return snapshot.base_number > role.seen.get(BASE, 0)


def live_objections_about(snapshot: Snapshot, role: RoleView) -> tuple[ObjectionView, ...]:
    """The objections that stand against the role, oldest first."""
    return tuple(o for o in snapshot.live_objections if o.about_role == role.name)


def check_owner(snapshot: Snapshot) -> RoleView | None:
    """Who mends a red check: its owner, else the role merged last, else the first required role."""
    check = snapshot.policy.check
    names = (check.owner if check else None, snapshot.tip_owner)
    present = (snapshot.by_name[name] for name in names if name is not None and name in snapshot.by_name)
    return next(present, next(iter(snapshot.required), None))


def agrees_but_for_check(snapshot: Snapshot, *, but_stale: bool) -> bool:
    """Whether all that consensus asks holds, the phase's check left aside, and staleness if *but_stale*."""
    return (
        bool(snapshot.required)
        and snapshot.rebase is None
        and not snapshot.live_objections
        and all(_dissent(snapshot, role, but_stale=but_stale) is None for role in snapshot.required)
        and all(role.merge in {None, MergeStatus.MERGED} for role in snapshot.present)
    )


def has_consensus(snapshot: Snapshot, *, but_stale: bool = False) -> bool:
    """Whether the phase may end: everybody required agrees and the check is green on the tip.

    With *but_stale* staleness alone is forgiven.
    """
    is_green = snapshot.check is not None and snapshot.check.status is CheckStatus.GREEN
    agrees = agrees_but_for_check(snapshot, but_stale=but_stale)
    return agrees and (snapshot.policy.check is None or is_green)


def _dissent(snapshot: Snapshot, role: RoleView, *, but_stale: bool) -> str | None:
    return (
        _unready_reason(snapshot, role)
        or _owing_reason(role)
        or (None if but_stale else _stale_reason(snapshot, role))
        or _accused_reason(snapshot, role)
    )


def unmade(snapshot: Snapshot) -> tuple[str, ...]:
    """What the system itself has still to do before the phase may end: merges, then its check."""
    found = [
        f"the merge of {role.name}'s version {role.version}"
        for role in snapshot.present
        if role.merge in {MergeStatus.PENDING, MergeStatus.MERGING}
    ]
    found += ["the merge of the present base"] if snapshot.is_rebasing else []
    if not found and snapshot.is_merging:
        found = ["the merge of a version that its role has replaced since"]
    is_green = snapshot.check is not None and snapshot.check.status is CheckStatus.GREEN
    if snapshot.policy.check and not is_green:
        commit = f" of {snapshot.tip[:10]}" if snapshot.tip and not found else ""
        found.append(f"the check{commit or ' after it'}")
    return tuple(found)


def _unready_reason(snapshot: Snapshot, role: RoleView) -> str | None:
    if is_ready(snapshot, role):
        return None
    if role.live is not None and role.live.verdict is None:
        return "is WORKING" if role.live.is_started else "is about to start" + _after(snapshot, role)
    if role.live is None and role.trailing:
        return ended(role.trailing[-1])
    if role.state is Readiness.BLOCKED:
        return _blocked_reason(snapshot, role)
    if role.state is Readiness.OBJECTING:
        return "is OBJECTING" + _to_whom(snapshot, role)
    return "has not started" if role.live is None and role.last is None else "is WORKING"


def _blocked_reason(snapshot: Snapshot, role: RoleView) -> str:
    if role.blocked_on is None:
        return "is BLOCKED"
    if came := _after(snapshot, role):
        return f"is about to start{came}"
    other = snapshot.by_name[role.blocked_on]
    if other.version > role.seen.get(other.name, 0):
        return f"waits until version {other.version} of {other.name} is merged"
    return f"is BLOCKED on {role.blocked_on}"


def _after(snapshot: Snapshot, role: RoleView) -> str:
    """What a role that is BLOCKED on another waited for and what has come since; nothing while it has not."""
    if role.state is not Readiness.BLOCKED or role.blocked_on is None:
        return ""
    other = snapshot.by_name.get(role.blocked_on)
    if other is None:
        return f", since {role.blocked_on}, whom it waited for, is no longer part of the phase"
    is_there = other.version > role.seen.get(other.name, 0) and other.merge is MergeStatus.MERGED
    return f", since {other.name}, whom it waited for, is READY" if is_there else ""


def _to_whom(snapshot: Snapshot, role: RoleView) -> str:
    own = [o for o in snapshot.live_objections if o.from_role == role.name]
    return "".join(f" to {o.about_role}'s version {o.version} (objection {o.number})" for o in own[:1])


def _owing_reason(role: RoleView) -> str | None:
    """A READY does not cover the work of a later run that ended without the verdict it owed."""
    if role.live is not None and role.live.verdict is not None:
        return None
    owing = next((run for run in reversed(role.trailing) if run.owes_verdict), None)
    if owing is None:
        return None
    return "owes a verdict since " + (f"it {ended(owing)}" if owing.failure else f"its run {owing.number}")


def _stale_reason(snapshot: Snapshot, role: RoleView) -> str | None:
    unseen = [f"{other.name}'s version {other.version}" for other in unseen_versions(snapshot, role)]
    unseen += ["the base that was merged"] if has_unseen_base(snapshot, role) else []
    if not unseen:
        return None
    names = " and ".join(unseen)
    return f"has a stale READY: it has not seen {names}"


def _accused_reason(snapshot: Snapshot, role: RoleView) -> str | None:
    for objection in live_objections_about(snapshot, role):
        if objection.status is ObjectionStatus.OPEN:
            return f"has to answer objection {objection.number} by {objection.from_role}"
        return f"waits for {objection.from_role}'s word on its answer to objection {objection.number}"
    return None


def _red_reason(snapshot: Snapshot, role: RoleView) -> str | None:
    check, owner = snapshot.check, check_owner(snapshot)
    if check is None or check.status is not CheckStatus.RED or owner is None or owner.name != role.name:
        return None
    return f"owns the red check on {check.commit[:10]}"
