"""The one decision function. Each rule either speaks or leaves the word to the next."""

from collections.abc import Callable, Sequence

from models.consensus import convergence, deadlines, endings, failures, gates, questions
from models.consensus.checks import wants_check
from models.consensus.due import is_at_bound, new_causes
from models.consensus.policy import OnFailure
from models.consensus.retries import failure
from models.consensus.settled import has_consensus, unmade, unsettled
from models.consensus.snapshot import DecisionView, Snapshot
from models.consensus.step import (
    ABORT,
    ACCEPT,
    ASKED_FOR_WORDS,
    CANCEL_PIPELINE,
    RETRY_PHASE,
    Assignment,
    Cancel,
    Close,
    Dispatch,
    Drop,
    Fail,
    Integrate,
    IntegrateBase,
    Restart,
    RunCheck,
    Step,
    Wait,
)
from models.consensus.treatments import TREATMENTS
from models.foreign import counted
from models.states import MergeStatus, PhaseStatus, RebaseStatus, StopReason


def decide(snapshot: Snapshot) -> Step:
    """Say what a phase run does next. The same rows give the same step, whoever asks."""
    rules: tuple[Callable[[Snapshot], Step | None], ...] = (
        _closing,
        _unprepared,
        _answered,
        _rebase,
        failures.stop,
        _policy,
        _integrate,
        _consensus,
        deadlines.hold,
        deadlines.pass_by,
        deadlines.idle,
        questions.ask,
        _dispatch,
        questions.stall,
    )
    for rule in rules:
        if step := rule(snapshot):
            return step
    return _wait(snapshot)


def _closing(snapshot: Snapshot) -> Step | None:
    if snapshot.status is not PhaseStatus.CLOSING:
        return None
    if snapshot.unclosed_runs:
        live = counted(snapshot.unclosed_runs, "agent is stopping and its", "agents are stopping and their")
        return Wait(f"{live} work is being saved")
    return gates.ask(snapshot) or convergence.outcome(snapshot)


def _unprepared(snapshot: Snapshot) -> Step | None:
    return Wait("the repository is being prepared") if snapshot.tip is None else None


def _answered(snapshot: Snapshot) -> Step | None:
    orders = (decision for decision in snapshot.decisions if decision.kind not in ASKED_FOR_WORDS)
    answers = {decision.resolution for decision in orders if not decision.is_pending}
    if CANCEL_PIPELINE in answers:
        return Cancel("a person cancelled it after agents had failed")
    if RETRY_PHASE in answers:
        return Restart()
    if ABORT in answers:
        return Fail("a person aborted the phase")
    return Close(StopReason.ACCEPTED) if ACCEPT in answers else None


def _rebase(snapshot: Snapshot) -> Step | None:
    """Before any question that is put or open: who answers Retry then, has it on the new base."""
    rebase = snapshot.rebase
    is_next = rebase is not None and rebase.status is RebaseStatus.PENDING and not snapshot.is_merging
    return IntegrateBase(rebase.number) if rebase is not None and is_next else None


def _policy(snapshot: Snapshot) -> Step | None:
    for role in snapshot.present:
        why = failure(snapshot, role)
        if why and role.policy.on_failure is OnFailure.CONTINUE:
            return Drop(
                role.name, f"{role.name} {endings.ended(role.trailing[-1])}; the phase goes on without it"
            )
        if why and role.policy.on_failure is OnFailure.ABORT:
            last = role.trailing[-1]
            said = endings.sentence(f"{role.name} {TREATMENTS[why].said}", last.number, last.how)
            return Fail(endings.with_last(said, last.last_line))
    return None


def _integrate(snapshot: Snapshot) -> Step | None:
    if snapshot.is_merging:
        return None
    for role in snapshot.present:
        if role.merge is MergeStatus.PENDING:
            return Integrate(role.name, role.version)
    return None


def _consensus(snapshot: Snapshot) -> Step | None:
    if has_consensus(snapshot):
        return Close(StopReason.CONSENSUS)
    if snapshot.is_converging and has_consensus(snapshot, but_stale=True):
        return Close(StopReason.CONVERGED)
    return RunCheck(snapshot.tip) if snapshot.tip and wants_check(snapshot) else None


def _dispatch(snapshot: Snapshot) -> Step | None:
    live = sum(1 for role in snapshot.roles if role.live is not None)
    limit = 1 if snapshot.is_sequential else snapshot.policy.max_concurrent_agents
    assignments = tuple(
        Assignment(role.name, causes)
        for role in snapshot.present
        if not is_at_bound(snapshot, role) and (causes := new_causes(snapshot, role))
    )
    chosen = assignments[: max(0, limit - live)]
    return Dispatch(chosen) if chosen else None


def _wait(snapshot: Snapshot) -> Wait:
    moments = questions.moments(snapshot)
    is_on_person = bool(snapshot.pending) and not questions.is_under_way(snapshot)
    if not is_on_person:
        moments += deadlines.moments(snapshot)
    until = min((at for at in moments if at > snapshot.now), default=None)
    return Wait(_why(snapshot) + deadlines.until_when(snapshot), until, on_person=is_on_person)


def _why(snapshot: Snapshot) -> str:
    asked = snapshot.holding if questions.is_under_way(snapshot) else snapshot.pending
    if asked:
        return _answer_to(asked)
    if snapshot.is_check_live:
        return f"the check of {(snapshot.tip or '')[:10]}"
    found = [f"{role.name} {reason}" for role, reason in unsettled(snapshot)] or unmade(snapshot)
    # Where agents that are done are still ending, and a question that holds nobody is all that is left.
    return "; ".join(found) or _answer_to(snapshot.pending)


def _answer_to(asked: Sequence[DecisionView]) -> str:
    return f"a person's answer to decision {', '.join(str(decision.number) for decision in asked)}"
