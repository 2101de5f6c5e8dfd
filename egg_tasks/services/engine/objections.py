"""Objections: raised, answered by a version or in words, withdrawn or upheld."""

from collections.abc import Mapping

from egg_tasks.services.engine.epochs import Epoch
from models.errors import Conflict, Unprocessable
from models.events import EventType
from models.queries import phase_runs, versions
from models.states import LIVE_OBJECTIONS, ObjectionStatus
from models.tables import AgentRun, Objection, Role, move_to


def raise_objection(epoch: Epoch, role: Role, *, about: str | None, reason: str) -> None:
    """Object to the version of *about* the role has seen, or uphold what it objects to already."""
    if about is None or not reason.strip():
        raise Unprocessable("OBJECTING names a role and says why: --about ROLE --reason '…'")
    if about == role.role:
        raise Unprocessable("a role cannot object to itself; name another with --about")
    phase_run_id = epoch.phase_run.id
    other = phase_runs.get_role(epoch.session, phase_run_id=phase_run_id, role=about)
    if other.is_dropped:
        raise Conflict(f"the phase goes on without {about}; there is nothing to object to", {"role": about})
    rows = phase_runs.list_seen(epoch.session, phase_run_id=phase_run_id, role=role.role)
    seen = next((row.number for row in rows if row.other == about), 0)
    if seen == 0:
        way_out = "run `egg sync` to see it" if other.version else f"say BLOCKED --on {about} to wait for it"
        raise Conflict(f"you have seen no version of {about}: {way_out}", {"version": other.version})
    standing = versions.find_live_objection(
        epoch.session, phase_run_id=phase_run_id, from_role=role.role, about_role=about
    )
    if standing is None:
        _open(epoch, role, other, seen=seen, reason=reason)
    else:
        _uphold(epoch, standing, other, seen=seen, reason=reason)


def answer(epoch: Epoch, run: AgentRun, *, words: Mapping[int, str], is_new: bool) -> None:
    """Answer what was handed to this run: by its new version, else each in words."""
    all_rows = versions.list_objections(epoch.session, phase_run_id=run.phase_run_id)
    delivered = [
        row
        for row in all_rows
        if row.about_role == run.role and row.delivered_to == run.id and row.status is ObjectionStatus.OPEN
    ]
    numbers = {row.number for row in delivered}
    if unknown := sorted(set(words) - numbers):
        raise Unprocessable(
            f"objection {unknown[0]} was not handed to this run; those that were: {sorted(numbers) or 'none'}"
        )
    unanswered = [row.number for row in delivered if not is_new and not words.get(row.number, "").strip()]
    if unanswered:
        raise Conflict(
            f"objection {unanswered[0]} stands against you and your work is unchanged: commit a change, or"
            f' answer in words with --answer {unanswered[0]}="…"',
            {"objections": unanswered},
        )
    for row in delivered:
        move_to(row, ObjectionStatus.ANSWERED)
        row.answer = words.get(row.number, "")
        row.is_answered_in_words = not is_new
        text = f"{row.about_role} answers objection {row.number}"
        _tell(epoch, row, EventType.OBJECTION_ANSWERED, text)


def withdraw_own(epoch: Epoch, role: Role) -> None:
    """READY withdraws all that the role itself objects to."""
    for row in versions.list_objections(epoch.session, phase_run_id=epoch.phase_run.id):
        if row.from_role == role.role and row.status in LIVE_OBJECTIONS:
            move_to(row, ObjectionStatus.WITHDRAWN)
            text = f"{row.from_role} withdraws objection {row.number}"
            _tell(epoch, row, EventType.OBJECTION_WITHDRAWN, text)


def _open(epoch: Epoch, role: Role, other: Role, *, seen: int, reason: str) -> None:
    is_late = other.version > seen
    row = Objection(
        phase_run_id=epoch.phase_run.id,
        number=versions.next_objection_number(epoch.session, phase_run_id=epoch.phase_run.id),
        from_role=role.role,
        about_role=other.role,
        version=seen,
        reason=reason,
        status=ObjectionStatus.ANSWERED if is_late else ObjectionStatus.OPEN,
        round=1,
        opened_at=epoch.now,
    )
    epoch.session.add(row)
    epoch.session.flush()
    text = f"{role.role} objects to {other.role}'s version {seen}: {reason}"
    _tell(epoch, row, EventType.OBJECTION_OPENED, text)


def _uphold(epoch: Epoch, row: Objection, other: Role, *, seen: int, reason: str) -> None:
    if row.status is ObjectionStatus.OPEN and row.reason == reason:
        return
    row.reason, row.version = reason, seen
    row.round += 1
    row.delivered_to, row.opened_at = None, epoch.now
    if row.status is ObjectionStatus.ANSWERED:
        row.upheld_over_words = row.upheld_over_words + 1 if row.is_answered_in_words else 0
        row.answer, row.is_answered_in_words = "", False
        if other.version == seen:
            move_to(row, ObjectionStatus.OPEN)
    text = f"{row.from_role} upholds objection {row.number} to {row.about_role}: {reason}"
    _tell(epoch, row, EventType.OBJECTION_OPENED, text)


def _tell(epoch: Epoch, row: Objection, kind: EventType, text: str) -> None:
    role = row.about_role if kind is EventType.OBJECTION_ANSWERED else row.from_role
    epoch.tell(kind, text, role=role, details={"objection": row.number, "round": row.round})
