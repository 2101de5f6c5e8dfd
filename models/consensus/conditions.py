"""How a role is doing, in one plain word: its own verdict as it said it, or ours, in small letters."""

from collections.abc import Mapping

from models.consensus.retries import failure
from models.consensus.snapshot import RoleView, Snapshot
from models.states import LIVE_PHASES, Failure, PhaseStatus, Readiness

LEFT_OUT = "left out"
STARTING = "starting"
STOPPING = "stopping"
STOPPED = "stopped"
FAILED = "failed"
TO_RETRY = "to retry"
NOT_STARTED = "not started"
FAILURES: Mapping[Failure, str] = {
    Failure.STARTUP: "cannot start",
    Failure.SETUP: "cannot start",
    Failure.PROGRAM_MISSING: "cannot start",
    Failure.NO_VERDICT: "no verdict",
    Failure.TIMEOUT: "timed out",
    Failure.DISK: "disk",
    Failure.OUT_OF_MEMORY: "out of memory",
    Failure.STOPPED: STOPPED,
    Failure.LOST: "lost",
}
"""The others are `failed`."""


def condition(snapshot: Snapshot, role: RoleView) -> str:
    """The word for a role."""
    if role.is_dropped:
        return LEFT_OUT
    if role.live is not None:
        return _while_live(role)
    if why := failure(snapshot, role):
        return FAILURES.get(why, FAILED)
    if role.trailing:
        return TO_RETRY if _goes_on(snapshot) and not snapshot.holding else STOPPED
    if role.state is Readiness.WORKING:
        return NOT_STARTED if role.last is None or not role.dispatched else str(role.state)
    return str(role.state)


def _while_live(role: RoleView) -> str:
    live = role.live
    assert live is not None, "the caller has looked"  # noqa: S101
    if not live.is_started:
        return STARTING
    if live.verdict is not None:
        return str(role.state)
    return STOPPING if live.is_cut_short else str(Readiness.WORKING)


def _goes_on(snapshot: Snapshot) -> bool:
    return snapshot.status in LIVE_PHASES - {PhaseStatus.CLOSING}
