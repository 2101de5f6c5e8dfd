"""Agent runs: claim one for a worker, note its start, settle its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Evaluation
from egg_tasks.services.agents import halts, leftovers, scheduling
from egg_tasks.services.bus import events
from egg_tasks.services.engine import checks, deadlines, epochs, evaluation, failures, results
from egg_tasks.services.engine.epochs import Epoch
from models import log_tail
from models.consensus import endings
from models.consensus.views import gave_what_it_owed
from models.events import EventType
from models.queries import agent_runs, phase_runs
from models.queries import halts as halt_rows
from models.schemas.message import MessageType
from models.schemas.run import Exit, Report
from models.sizes import in_words
from models.states import LIVE_PHASES, LIVE_RUNS, Failure, Readiness, RunStatus
from models.tables import AgentRun, move_to

LEASE = timedelta(seconds=12)
MOST_KEPT = 200
"""So many paths of what could not be saved are written down."""
KILLED_FROM_OUTSIDE = frozenset({9, 15})
"""SIGKILL and SIGTERM that the system did not send: the agent did not fail, it was taken away."""

ENDS = {
    None: RunStatus.SUCCEEDED,
    Failure.LOST: RunStatus.LOST,
    Failure.TIMEOUT: RunStatus.TIMED_OUT,
}


BAD_ENDS = {
    RunStatus.LOST: (EventType.AGENT_LOST, "was lost"),
    RunStatus.TIMED_OUT: (EventType.AGENT_TIMEOUT, "failed"),
    RunStatus.FAILED: (EventType.AGENT_FAILED, "failed"),
}
"""What is told of them: the type of the event, and the verb."""


class Answer(StrEnum):
    """What a worker that asks for a run is told."""

    CLAIMED = "claimed"
    DONE = "done"
    HELD = "held"
    PARKED = "parked"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Salvaged:
    """What was brought to a role's branch when its run had ended."""

    commit: str | None
    """None if nothing could be."""
    is_ahead: bool
    """Whether it holds changes of the role's own that are in no version."""
    set_aside: str | None = None
    """The branch that holds what READY was refused for."""
    kept: Sequence[str] = ()
    """What stays in the clone, since it cannot be saved as it should be."""
    strays: tuple[str, ...] = ()
    """What its clone had committed elsewhere than in its head, and where that is kept."""
    snapshot_at: datetime | None = None
    """When what was brought was the clone's, if that was gone or unreadable at the end."""


@dataclass(frozen=True)
class Claim:
    """The answer, with the run as it is."""

    answer: Answer
    run: AgentRun


def claim(session: Session, *, run_id: UUID, owner: str, node: str, capacity: int, now: datetime) -> Claim:
    """Take a run's lease if nobody attends it, this is a machine for it and no halt keeps it out."""
    halt = halts.keeps_out(session)
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.closed_at is not None:
        return Claim(Answer.DONE, run)
    if run.lease_until is not None and run.lease_until > now:
        return Claim(Answer.HELD, run)
    if run.node not in {None, node}:
        return Claim(Answer.ELSEWHERE, run)
    if run.node is None:
        agent_runs.upsert_node(session, name=node, capacity=capacity, now=now)
        is_to_start = run.status in LIVE_RUNS and (run.stop_at is None or run.stop_at > now)
        if is_to_start and (halt or not agent_runs.has_room(session, node=node)):
            # Whoever finds a place for it, or lifts the halt, sends it at once.
            run.send_after = now
            return Claim(Answer.PARKED, run)
    if run.status is RunStatus.QUEUED:
        move_to(run, RunStatus.STARTING)
    run.node = node
    run.lease_owner, run.lease_until = owner, now + LEASE
    # It has arrived: if it is left again, whoever sends it next waits as after the first time.
    run.sends = 0
    # Counted before it is tried: also by who does not live to say that it went wrong.
    run.tries += 1
    return Claim(Answer.CLAIMED, run)


def release(session: Session, *, run_id: UUID, owner: str, now: datetime) -> None:
    """Give a lease back so that another worker may take it at once; that it was taken was no try."""
    run = agent_runs.lock_agent_run(session, run_id=run_id)
    if run.lease_owner == owner:
        run.lease_owner = run.lease_until = None
        run.send_after = now
        run.tries = max(0, run.tries - 1)


def started(session: Session, *, run_id: UUID, now: datetime) -> None:
    """Note that a run's process is there."""
    epoch, run = _lock(session, run_id, now)
    if run.status is not RunStatus.STARTING:
        return
    move_to(run, RunStatus.RUNNING)
    run.started_at, run.tries, run.held_up = now, 0, None
    deadlines.expect(epoch.phase_run, epoch.policy, now=now)
    if halt_rows.find_standing_halt(session):
        # It was on its way when all was stopped.
        run.stop_at, run.is_cut_short = min(run.stop_at or now, now), run.stopped_for is None
    epoch.tell(EventType.AGENT_STARTED, f"{events.label(run)} starts on {run.node}", run=run)


def settle(
    session: Session,
    *,
    run_id: UUID,
    outcome: Exit,
    report: Report,
    salvaged: Salvaged | None,
    now: datetime,
) -> None:
    """Write how a run ended, its process gone and its work safe, and go on; repeating it changes nothing."""
    epoch, run = _lock(session, run_id, now)
    if run.closed_at is not None:
        return
    was_live = run.status in LIVE_RUNS
    if was_live:
        _end(epoch, run, outcome, report)
    _close(epoch, run, salvaged)
    if run.failure or not gave_what_it_owed(run):
        run.log_tail = log_tail.of(report.written, run_id=run.id)
    if run.role is None:
        checks.settle(epoch, run, outcome, report.written)
    elif was_live:
        _settle_role(epoch, run)
        results.take_from_output(epoch, run, output=report.written)
    _tell_end(epoch, run)
    _tell_of_work(epoch, run, salvaged)
    _go_on(epoch)
    # A place is free: who waits for one anywhere comes before who has only now become due here.
    scheduling.send_waiting(session, now=now)


def give_up(session: Session, *, run_id: UUID, why: str, salvaged: Salvaged | None, now: datetime) -> None:
    """Close a run whose end cannot be read as lost, its process gone; repeating it changes nothing.

    Nothing of its output is looked at, and its phase run is evaluated later: neither may keep it open.
    """
    epoch, run = _lock(session, run_id, now)
    if run.closed_at is not None:
        return
    was_live = run.status in LIVE_RUNS
    if was_live:
        run.ended_at, run.failure = now, Failure.LOST
        run.is_cut_short = False
        move_to(run, RunStatus.LOST)
    run.error = why
    _close(epoch, run, salvaged)
    if run.role is None:
        checks.settle(epoch, run, Exit(), why)
    elif was_live:
        _settle_role(epoch, run)
    text = f"{events.label(run)} is {run.status}: {why}"
    kind = EventType.AGENT_LOST if was_live else EventType.AGENT_COMPLETED
    epoch.tell(kind, text, run=run, details=_details(run))
    _tell_of_work(epoch, run, salvaged)
    scheduling.send_waiting(session, now=now)
    waiting = phase_runs.find_live_phase_run(session, pipeline_id=epoch.pipeline.id)
    if waiting is not None:
        waiting.facts += 1
        outbox.of(session).add(Evaluation(waiting.id, epoch.pipeline.id))


def _close(epoch: Epoch, run: AgentRun, salvaged: Salvaged | None) -> None:
    """Note that a run's process is gone and what became of its work."""
    run.lease_owner = run.lease_until = run.held_up = None
    run.closed_at = epoch.now
    # What comes next is the clearing away of its clone.
    run.send_after, run.sends = epoch.now, 0
    if salvaged is not None:
        run.salvaged_commit = salvaged.commit if salvaged.is_ahead else None
        run.set_aside, run.kept_paths = salvaged.set_aside, list(salvaged.kept[:MOST_KEPT])
    epoch.phase_run.facts += 1


def _tell_of_work(epoch: Epoch, run: AgentRun, salvaged: Salvaged | None) -> None:
    if told := leftovers.told(run):
        text = f"unpublished work of {events.label(run)}: {'; '.join(told)}"
        if salvaged and salvaged.snapshot_at:
            text += (
                f"; from its snapshot of {salvaged.snapshot_at:%H:%M:%S}, since its clone could not be read"
            )
        epoch.tell(EventType.AGENT_SALVAGED, text, run=run)
    for stray in salvaged.strays if salvaged else ():
        _tell_of_stray(epoch, run, stray)


def _go_on(epoch: Epoch) -> None:
    evaluation.settle(epoch)
    if epoch.phase_run.status in LIVE_PHASES:
        return
    # The end of a stale run may be what a successor's role waits for.
    successor = phase_runs.find_live_phase_run(epoch.session, pipeline_id=epoch.pipeline.id)
    if successor is not None:
        evaluation.evaluate(epoch.session, phase_run_id=successor.id, now=epoch.now)


def _lock(session: Session, run_id: UUID, now: datetime) -> tuple[Epoch, AgentRun]:
    unlocked = agent_runs.get_agent_run(session, run_id=run_id)
    epoch = epochs.lock(session, phase_run_id=unlocked.phase_run_id, now=now)
    return epoch, agent_runs.lock_agent_run(session, run_id=run_id)


def _end(epoch: Epoch, run: AgentRun, outcome: Exit, report: Report) -> None:
    run.exit_code, run.exit_signal = outcome.exit_code, outcome.signal
    # What its agent reported stands where the program at least ran.
    run.error = log_tail.from_within(outcome.error or run.error, run_id=run.id)
    run.ended_at = outcome.ended_at or epoch.now
    run.is_cut_short = run.is_cut_short and outcome.stopped
    run.failure = _failure(run, outcome, report)
    if run.failure is Failure.OUT_OF_MEMORY:
        run.error = _of_memory(epoch, run)
    move_to(run, ENDS.get(run.failure, RunStatus.FAILED))


def _failure(run: AgentRun, outcome: Exit, report: Report) -> Failure | None:
    """How a run failed; what its agent reported counts when it ended badly or without what it owed."""
    if outcome.stopped:
        return run.stopped_for
    if outcome.is_out_of_memory and outcome.exit_code != 0:
        # Who came to an own end for want of it may know better.
        return (run.reported_failure if outcome.exit_code else None) or Failure.OUT_OF_MEMORY
    if outcome.vanished or outcome.signal in KILLED_FROM_OUTSIDE:
        return Failure.LOST
    if outcome.error is not None:
        return _not_started(outcome)
    if report.failure is not None:
        return run.reported_failure or report.failure
    is_owing = run.owes_verdict and run.verdict is None
    return (run.stopped_for or run.reported_failure) if is_owing else None


def _of_memory(epoch: Epoch, run: AgentRun) -> str:
    """That a run has had all the memory it may have, and how it gets more."""
    definition, position = epoch.pipeline.definition, epoch.phase_run.position
    isolation = (
        definition.isolation_of(position, run.role) if run.role else definition.check_isolation(position)
    )
    container = isolation.container
    limit = f"the {in_words(container.memory)} that it may have" if container else "what it may have"
    return (
        f"it had taken all of {limit}, and the kernel ended a process of it: give it more"
        " (`isolation.memory`), or have it do less at once"
    )


def _not_started(outcome: Exit) -> Failure:
    if outcome.is_set_up:
        return Failure.SETUP
    if outcome.is_unset:
        return Failure.MISSING_CONFIG
    return Failure.PROGRAM_MISSING if outcome.is_missing else Failure.STARTUP


def _settle_role(epoch: Epoch, run: AgentRun) -> None:
    assert run.role is not None, "a check has no role to settle"  # noqa: S101
    role = phase_runs.get_role(epoch.session, phase_run_id=run.phase_run_id, role=run.role)
    if (run.salvaged_commit or run.set_aside) and run.verdict in {None, Readiness.READY}:
        run.verdict, run.owes_verdict = None, True
    if gave_what_it_owed(run):
        role.handled_message = role.cursor
        return
    role.cursor = role.handled_message
    if run.failure is Failure.QUOTA:
        # Waiting for a quota is nobody's fault: it uses up no round.
        role.runs = max(0, role.runs - 1)
    if run.failure is not None and run.failure is not Failure.LOST:
        subject = f"{events.label(run)} failed: {_how(run)}"
        epoch.announce(MessageType.AGENT_FAILED, subject)


def _tell_of_stray(epoch: Epoch, run: AgentRun, stray: str) -> None:
    """Tell everybody, and the role in its next prompt, of commits that are in none of its work."""
    text = f"{events.label(run)} left commits out of its work: {stray}"
    epoch.tell(EventType.AGENT_SALVAGED, text, run=run)
    subject = "commits of yours are not in your work"
    epoch.announce(MessageType.STATUS, subject, body=text, to_role=str(run.role))


def _tell_end(epoch: Epoch, run: AgentRun) -> None:
    details = _details(run) if failures.has_failed(run) else None
    if run.status is RunStatus.CANCELLED:
        kind, said = EventType.AGENT_COMPLETED, "is stopped: cancelled"
    elif run.status is RunStatus.SUCCEEDED:
        owing = " without a verdict" if details else ""
        kind, said = (
            EventType.AGENT_COMPLETED,
            f"ended after {run.verdict}" if run.verdict else f"ended{owing}",
        )
    else:
        kind, verb = BAD_ENDS[run.status]
        said, details = f"{verb}: {_how(run)}", _details(run)
    # What a check wrote is told with what the check came to.
    last_line = log_tail.last_line(run.log_tail) if run.role else ""
    text = endings.with_last(f"{events.label(run)} {said}", last_line)
    epoch.tell(kind, text, run=run, details=details)


def _how(run: AgentRun) -> str:
    """How a run failed, also one that had given its verdict before."""
    by_word = run.failure is not None and run.failure in {run.stopped_for, run.reported_failure}
    how = endings.how(
        failure=run.failure,
        exit_code=run.exit_code,
        signal=run.exit_signal,
        error=run.error,
        is_named=by_word,
    )
    return "; ".join(filter(None, (f"it {endings.once(run.failure)}" if by_word else "", how)))


def _details(run: AgentRun) -> dict[str, object]:
    """What the event of a failure holds for programs."""
    return failures.of_run(run).model_dump(mode="json")
