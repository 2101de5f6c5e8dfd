"""Signals: what an agent says of its role. Nothing else makes a role READY."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import credentials
from egg_tasks.services.bus import shares
from egg_tasks.services.engine import deadlines, epochs, evaluation, objections
from egg_tasks.services.engine.epochs import Epoch
from models.consensus.settled import check_owner
from models.errors import Conflict, Unprocessable
from models.events import EventType
from models.queries import agent_runs, phase_runs, versions
from models.shares import Share
from models.states import LIVE_PHASES, LIVE_RUNS, CheckStatus, PhaseStatus, Readiness
from models.tables import AgentRun, Role, Version

Seen = Mapping[str, int]
"""By role, the latest of its versions that a clone holds; by `BASE`, the latest rebase."""


@dataclass(frozen=True)
class CloneState:
    """A clone's head, what it has of the others, and whether its own changes make a new version."""

    commit: str
    tree: str
    is_new: bool
    is_mended: bool
    """Whether the latest version had a conflict, which is gone: a version is made, so that it is merged."""
    own_number: int
    """The latest version it was held against."""
    seen: Seen


@dataclass(frozen=True)
class Signal:
    """A readiness signal as it was sent."""

    state: Readiness
    reason: str = ""
    on: str | None = None
    about: str | None = None
    answers: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Speaker:
    epoch: Epoch
    run: AgentRun
    role: Role


@dataclass(frozen=True)
class Said:
    """A signal that was taken: the role and its epoch as they are now."""

    role: Role
    epoch: Epoch


def readiness(
    session: Session, *, run_id: UUID, signal: Signal, look: CloneState | None, now: datetime
) -> Said:
    """Take a readiness signal and decide what follows; *look* is at the clone's head, for READY."""
    speaker = _lock_speaker(session, run_id, now)
    epoch, run, role = speaker.epoch, speaker.run, speaker.role
    if signal.state is not Readiness.READY:
        size = len(signal.reason.encode())
        shares.spend(session, run_id=run_id, share=Share.VERDICTS, size=size, now=now)
    match signal.state:
        case Readiness.WORKING:
            run.owes_verdict, run.verdict = True, None
            # Whom the system stops, no word of its own keeps running.
            run.stop_at = run.stop_at if _is_held(run) else None
        case Readiness.READY:
            assert look is not None, "a READY is looked at"  # noqa: S101
            _ready(session, speaker, signal, look)
            run.refused_at = None
        case Readiness.BLOCKED:
            _blocked(session, epoch, role, signal)
        case Readiness.OBJECTING:
            objections.raise_objection(epoch, role, about=signal.about, reason=signal.reason)
    _say(session, speaker, signal)
    evaluation.settle(epoch)
    return Said(role, epoch)


def attempt(session: Session, *, run_id: UUID, signal: Signal, now: datetime) -> None:
    """Take a READY from the run's share before its clone is looked at: refused ones cost as much."""
    size = len("".join((signal.reason, *signal.answers.values())).encode())
    shares.spend(session, run_id=run_id, share=Share.READY, size=size, now=now)


def note_refused(session: Session, *, run_id: UUID, now: datetime) -> None:
    """Note that a READY is refused for what is not committed: should the run end so, it is set aside."""
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.status in LIVE_RUNS:
        run.refused_at = now


def sync(session: Session, *, run_id: UUID, seen: Mapping[str, int], now: datetime) -> None:
    """Record what a clone holds of the others after its agent brought it up to date."""
    speaker = _lock_speaker(session, run_id, now)
    phase_run_id = speaker.epoch.phase_run.id
    phase_runs.mark_seen(session, phase_run_id=phase_run_id, role=speaker.role.role, versions=seen)


def _lock_speaker(session: Session, run_id: UUID, now: datetime) -> _Speaker:
    unlocked = agent_runs.get_agent_run(session, run_id=run_id)
    epoch = epochs.lock(session, phase_run_id=unlocked.phase_run_id, now=now)
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.status not in LIVE_RUNS or epoch.phase_run.status not in LIVE_PHASES:
        raise credentials.stale(run, epoch.phase_run, epoch.pipeline)
    if epoch.phase_run.status is PhaseStatus.CLOSING:
        raise Conflict(
            f"{epoch.phase_run.phase} is closing ({epoch.phase_run.stop_reason or epoch.phase_run.why});"
            " readiness is settled, so end now",
            {"phase_status": str(epoch.phase_run.status)},
        )
    assert run.role is not None, "a check has no token"  # noqa: S101
    role = phase_runs.lock_role(session, phase_run_id=run.phase_run_id, role=run.role)
    if role.is_dropped:
        raise Conflict(f"the phase goes on without {role.role}; end now", {"role": role.role})
    return _Speaker(epoch, run, role)


def _ready(session: Session, speaker: _Speaker, signal: Signal, look: CloneState) -> None:
    epoch, run, role = speaker.epoch, speaker.run, speaker.role
    if look.own_number != role.version:
        raise Conflict(
            f"{role.role} has said READY in between and is at version {role.version}; signal again",
            {"version": role.version},
        )
    if not look.is_new:
        _refuse_unexplained(epoch, role, signal)
    objections.answer(epoch, run, words=signal.answers, is_new=look.is_new)
    objections.withdraw_own(epoch, role)
    if look.is_new or look.is_mended:
        role.version += 1
        version = Version(
            phase_run_id=run.phase_run_id,
            role=role.role,
            number=role.version,
            commit=look.commit,
            tree=look.tree,
            agent_run_id=run.id,
            conflict_paths=[],
            created_at=epoch.now,
        )
        versions.add_version(session, version=version)
    phase_runs.mark_seen(session, phase_run_id=run.phase_run_id, role=role.role, versions=look.seen)


def _refuse_unexplained(epoch: Epoch, role: Role, signal: Signal) -> None:
    """A READY without change from the owner of a red check needs a reason."""
    snapshot = evaluation.snapshot_of(epoch)
    owner, check = check_owner(snapshot), snapshot.check
    is_red = check is not None and check.status is CheckStatus.RED
    if is_red and owner is not None and owner.name == role.role and not signal.reason:
        raise Conflict(
            "the check is red and you changed nothing: mend it and commit, or say why with --reason",
            {"check": check.commit if check else None},
        )


def _blocked(session: Session, epoch: Epoch, role: Role, signal: Signal) -> None:
    if signal.on is None:
        return
    phase_run_id = epoch.phase_run.id
    if signal.on == role.role:
        raise Unprocessable("a role cannot be BLOCKED on itself; name another with --on")
    other = phase_runs.get_role(session, phase_run_id=phase_run_id, role=signal.on)
    if other.is_dropped:
        raise Conflict(f"the phase goes on without {other.role}; do without it too", {"role": other.role})
    seen = {
        row.other: row.number
        for row in phase_runs.list_seen(session, phase_run_id=phase_run_id, role=role.role)
    }
    if other.version > seen.get(other.role, 0):
        raise Conflict(
            f"{other.role} has said READY at version {other.version}, which you have not seen:"
            " run `egg sync` and go on",
            {"role": other.role, "version": other.version, "seen": seen.get(other.role, 0)},
        )


def _say(session: Session, speaker: _Speaker, signal: Signal) -> None:
    epoch, run, role = speaker.epoch, speaker.run, speaker.role
    run.last_active_at = max(run.last_active_at or epoch.now, epoch.now)
    if signal.state is not Readiness.WORKING:
        run.verdict = signal.state
        ends_at = epoch.now + epoch.policy.verdict_grace
        run.stop_at = min(run.stop_at or ends_at, ends_at) if _is_held(run) else ends_at
        deadlines.extend(epoch.phase_run, epoch.policy, now=epoch.now)
        session.flush()
        for row in phase_runs.list_seen(session, phase_run_id=run.phase_run_id, role=role.role):
            row.at_verdict = row.number
    role.state, role.reason, role.updated_at = signal.state, signal.reason, epoch.now
    role.blocked_on = signal.on if signal.state is Readiness.BLOCKED else None
    epoch.phase_run.facts += 1
    details: dict[str, object] = {"state": str(signal.state), "version": role.version}
    epoch.tell(EventType.READINESS_CHANGED, _sentence(role, signal), run=run, details=details)


def _is_held(run: AgentRun) -> bool:
    """Whether the run is stopped by somebody else's word, which nothing it says takes back."""
    return run.is_cut_short or run.stopped_for is not None


def _sentence(role: Role, signal: Signal) -> str:
    where = f" at version {role.version}" if signal.state is Readiness.READY else ""
    whom = f" on {signal.on}" if signal.on else ""
    whom = f" to {signal.about}" if signal.about else whom
    why = f": {signal.reason}" if signal.reason else ""
    return f"{role.role} is {signal.state}{where}{whom}{why}"
