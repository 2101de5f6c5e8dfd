"""Failures: the runs that did not give what they owed, as people and programs are told of them."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from models import log_tail
from models.answers import logs_command
from models.consensus import conditions, endings
from models.consensus.step import DecisionKind
from models.consensus.views import gave_what_it_owed, how_it_ended
from models.queries import agent_runs
from models.schemas.report import FailureRead
from models.states import LIVE_RUNS, CheckStatus, Failure, RunStatus
from models.tables import AgentRun, Decision

CHECK = "check"
ABOUT_RUNS = frozenset(
    {
        DecisionKind.FAILURE,
        DecisionKind.FAILURES,
        DecisionKind.STALL,
        DecisionKind.BOUND,
        DecisionKind.CHECK,
        DecisionKind.ABANDONED,
        DecisionKind.DEADLINE,
    }
)
"""The questions that may be asked because runs have failed, or do not come to their end."""


def has_failed(run: AgentRun) -> bool:
    """Whether a run is over and owes something; one that was cancelled owes nothing."""
    is_over = run.status not in LIVE_RUNS and run.status is not RunStatus.CANCELLED
    return is_over and not gave_what_it_owed(run)


def of_run(run: AgentRun) -> FailureRead:
    """What is told of a run that has failed."""
    return FailureRead(
        role=run.role,
        run=run.id,
        number=run.number,
        failure=run.failure or Failure.NO_VERDICT,
        exit_code=run.exit_code,
        signal=run.exit_signal,
        said=sentence(run),
        log_tail=log_tail.lines(run.log_tail),
        logs=logs_command(run.pipeline_id, str(run.id), is_set_up=run.failure is Failure.SETUP),
    )


def sentence(run: AgentRun) -> str:
    """That a run failed, and how."""
    said = "is red" if _is_red(run) else endings.once(run.failure)
    said = endings.CUT_SHORT if run.is_cut_short else said
    return endings.sentence(f"{run.role or f'the {CHECK}'} {said}", run.number, how_it_ended(run))


def word(run: AgentRun) -> str:
    """How a run fares or has ended, in the word that is said of its role while that is its last one."""
    if not has_failed(run):
        return str(run.status)
    if _is_red(run):
        return str(CheckStatus.RED)
    if run.is_cut_short:
        return conditions.STOPPED
    return conditions.FAILURES.get(run.failure or Failure.NO_VERDICT, conditions.FAILED)


def of_decisions(session: Session, decisions: Sequence[Decision]) -> Mapping[int, tuple[FailureRead, ...]]:
    """By question, the failed runs it is about: of each role it names, or of all, the latest by then."""
    asked = [decision for decision in decisions if decision.kind in ABOUT_RUNS]
    runs = agent_runs.list_runs_of_phase_runs(session, phase_run_ids={each.phase_run_id for each in asked})
    return {each.id: _of_decision(each, runs) for each in asked}


def of_phase_run(session: Session, *, pipeline_id: str, phase_run_id: UUID) -> tuple[FailureRead, ...]:
    """The latest run of each role of a phase run, and of its check, where that one has failed."""
    runs = agent_runs.list_agent_runs(session, pipeline_id=pipeline_id, phase_run_id=phase_run_id)
    return _latest(runs)


def _of_decision(decision: Decision, runs: Iterable[AgentRun]) -> tuple[FailureRead, ...]:
    mine = [run for run in runs if run.phase_run_id == decision.phase_run_id]
    if decision.kind is DecisionKind.DEADLINE:
        # They are stopped since it was asked, and what they were at is what it is about.
        return _latest((run for run in mine if run.created_at <= decision.created_at), but_cut_short=False)
    before = (run for run in mine if run.ended_at is not None and run.ended_at <= decision.created_at)
    if decision.kind is DecisionKind.CHECK:
        return _latest(run for run in before if run.role is None)
    roles = set(decision.roles)
    return _latest(run for run in before if run.role is not None and (not roles or run.role in roles))


def _latest(runs: Iterable[AgentRun], *, but_cut_short: bool = True) -> tuple[FailureRead, ...]:
    latest: dict[str | None, AgentRun] = {}
    for run in sorted(runs, key=lambda run: run.number):
        if run.status not in LIVE_RUNS:
            latest[run.role] = run
    return tuple(
        of_run(run) for run in latest.values() if has_failed(run) and not (but_cut_short and run.is_cut_short)
    )


def _is_red(run: AgentRun) -> bool:
    return run.role is None and run.failure is Failure.PROCESS_FAILURE and run.exit_code is not None
