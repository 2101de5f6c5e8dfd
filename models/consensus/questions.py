"""What a person is asked when code alone cannot go on. No question is put twice for the same cause."""

from collections.abc import Iterator
from datetime import datetime

from models.consensus import endings
from models.consensus.checks import dead_end, retried_at
from models.consensus.due import grace_ends_at, is_at_bound, new_causes, rests_until
from models.consensus.policy import OnFailure
from models.consensus.retries import failure, ready_at
from models.consensus.settled import NAMED, check_owner, conflict_reason, unsettled
from models.consensus.snapshot import ObjectionView, RoleView, Snapshot
from models.consensus.step import (
    ABORT,
    ACCEPT,
    CONTINUE,
    KEEP_BASE,
    OVERRIDE,
    RETRY,
    TAKE_BASE,
    WAIT,
    Ask,
    DecisionKind,
    Step,
)
from models.consensus.treatments import TREATMENTS
from models.foreign import counted, named
from models.states import Failure, MergeStatus, RebaseStatus

MAX_UPHELD_OVER_WORDS = 2
WHAT_NOW = "What now?"


def ask(snapshot: Snapshot) -> Ask | None:
    """The first question that is due and was not put before."""
    due = (question for question in _due(snapshot) if not snapshot.was_asked(question.key))
    return next(due, None)


def stall(snapshot: Snapshot) -> Step | None:
    """The question put when nobody works, nobody is due and nothing is under way."""
    if snapshot.pending or is_under_way(snapshot):
        return None
    blockers = unsettled(snapshot)
    named = [role.name for role, _ in blockers] or [role.name for role in snapshot.required]
    reasons = "; ".join(f"{role.name} {reason}" for role, reason in blockers)
    live = len(snapshot.live_objections)
    key = f"stall:{sum(role.dispatched for role in snapshot.roles)}:{live}"
    question = f"Nobody can go on: {reasons or 'nothing is due'}. What now?"
    return Ask(key, DecisionKind.STALL, question, stall_options(snapshot), ABORT, tuple(named))


def stall_options(snapshot: Snapshot) -> tuple[str, ...]:
    """What a person may answer to a phase that does not come to an end by itself."""
    options = (WAIT, RETRY, ACCEPT, ABORT)
    return (OVERRIDE, *options) if snapshot.live_objections else options


def is_under_way(snapshot: Snapshot) -> bool:
    """Whether something is certain to happen without a person: an end, a merge, a moment in time."""
    if snapshot.is_check_live or any(role.live for role in snapshot.roles):
        return True
    if any(role.last and not role.last.is_closed for role in snapshot.present):
        return True
    if snapshot.is_merging or any(role.merge is MergeStatus.PENDING for role in snapshot.present):
        return True
    return bool(moments(snapshot))


def moments(snapshot: Snapshot) -> list[datetime]:
    """The times to come at which somebody may go on by himself."""
    found = [retried_at(snapshot)]
    for role in snapshot.present:
        found += [grace_ends_at(snapshot, role), ready_at(snapshot, role), rests_until(snapshot, role)]
    return [at for at in found if at is not None and at > snapshot.now]


def _due(snapshot: Snapshot) -> Iterator[Ask]:
    if not snapshot.required:
        yield Ask(
            "abandoned",
            DecisionKind.ABANDONED,
            "No required role is left in this phase. Keep what there is?",
            (ACCEPT, ABORT),
            ABORT,
        )
    for role in snapshot.present:
        yield from _about_role(snapshot, role)
    yield from _about_check(snapshot)
    yield from _about_base(snapshot)
    for objection in snapshot.live_objections:
        yield from _about_objection(snapshot, objection)


def _about_role(snapshot: Snapshot, role: RoleView) -> Iterator[Ask]:
    why, conflict = failure(snapshot, role), conflict_reason(role)
    who = f"{role.name} {conflict}. {role.name}" if conflict else role.name
    if why and role.policy.on_failure in {OnFailure.ASK, OnFailure.RETRY}:
        yield Ask(
            f"failure:{role.name}:{role.dispatched}",
            DecisionKind.FAILURE,
            _about_failure(role, why, who),
            (RETRY, ABORT, CONTINUE),
            ABORT,
            (role.name,),
        )
    causes = new_causes(snapshot, role) if is_at_bound(snapshot, role) else ()
    if causes:
        reasons = ", ".join(sorted({cause.kind.value for cause in causes}))
        times = counted(role.runs, "time")
        yield Ask(
            f"bound:{role.name}:{role.dispatched}",
            DecisionKind.BOUND,
            f"{who} has run {times} in this phase and is due again: {reasons}. What now?",
            stall_options(snapshot),
            ABORT,
            (role.name,),
        )


def _about_failure(role: RoleView, why: Failure, who: str) -> str:
    last, treatment = role.trailing[-1], TREATMENTS[why]
    said = endings.sentence(f"{who} {treatment.said}", role.dispatched, last.how)
    return endings.with_last(endings.joined(said, treatment.hint, WHAT_NOW), last.last_line)


def _about_check(snapshot: Snapshot) -> Iterator[Ask]:
    check, owner, why = snapshot.check, check_owner(snapshot), dead_end(snapshot)
    if check and owner and why:
        how = f" ({check.how})" if check.how else ""
        question = f"The check of {check.commit[:10]} {why}{how}; {owner.name} owns it. {WHAT_NOW}"
        yield Ask(
            f"check:{check.number}:{check.attempts}:{check.errors}",
            DecisionKind.CHECK,
            endings.with_last(question, check.last_line),
            stall_options(snapshot),
            ABORT,
            (owner.name,),
        )


def _about_base(snapshot: Snapshot) -> Iterator[Ask]:
    rebase = snapshot.rebase
    if rebase is not None and rebase.status is RebaseStatus.CONFLICTED:
        paths = named(rebase.conflict_paths, most=NAMED)
        at = f" at {rebase.commit[:10]}" if rebase.commit else ""
        yield Ask(
            f"rebase:{rebase.number}",
            DecisionKind.REBASE,
            f"The present base{at} conflicts with the work branch in {paths}. Merge the work branch into the"
            " base in your repository and try again, or go on without. What now?",
            (KEEP_BASE, TAKE_BASE, ABORT),
            KEEP_BASE,
        )


def _about_objection(snapshot: Snapshot, objection: ObjectionView) -> Iterator[Ask]:
    number, roles = objection.number, (objection.from_role, objection.about_role)
    present = tuple(name for name in roles if name in snapshot.by_name)
    reasons = []
    if present != roles:
        text = f"{roles[0]} objected to {roles[1]}, and one of them is no longer part of the phase"
        reasons.append(("orphaned", f"{text} (objection {number})"))
    if objection.upheld_over_words >= MAX_UPHELD_OVER_WORDS:
        text = f"{roles[0]} and {roles[1]} cannot agree by words on objection {number}"
        reasons.append((str(objection.upheld_over_words), text))
    for cause, text in reasons:
        key, question = f"objection:{number}:{cause}", f"{text}. What now?"
        yield Ask(key, DecisionKind.STALL, question, stall_options(snapshot), ABORT, present)
