"""Briefs: what an agent run should know when it starts, and that it was told."""

import json
from collections.abc import Sequence

from sqlalchemy.orm import Session

from egg_tasks.services.agents import brief_budgets, leftovers
from egg_tasks.services.bus import messages
from egg_tasks.services.engine import failures
from models import budgets, log_tail
from models.consensus.policy import PhasePolicy
from models.consensus.step import ASKED_FOR_WORDS, Cause, CauseKind
from models.git_names import role_branch, work_branch
from models.queries import agent_runs, decisions, phase_runs, pipelines, versions
from models.queries import messages as message_rows
from models.schemas.brief import (
    Brief,
    Cycle,
    DirectiveText,
    EndText,
    LeftBehind,
    LeftOut,
    ObjectionText,
    RosterEntry,
)
from models.schemas.message import MessageRead
from models.schemas.result import field_names
from models.states import LIVE_OBJECTIONS, MergeStatus, ObjectionStatus
from models.tables import AgentRun, Objection, PhaseRun, Pipeline, Role

MAX_MESSAGES = 500
LAST_OF_ZERO_TO_ONE = 2
"""So many iterations are there to make the whole work; the others to hold to every criterion."""
MOST_COUNTED = 1000
"""So many messages that are left out are counted at most."""


def write(session: Session, *, run: AgentRun) -> Brief:
    """Put together what a role's run should know now, as far as each part has room for it."""
    assert run.role is not None, "a check needs no brief"  # noqa: S101
    pipeline = pipelines.get_pipeline(session, pipeline_id=run.pipeline_id)
    phase_run = phase_runs.get_phase_run(session, phase_run_id=run.phase_run_id)
    definition = pipeline.definition
    policy = definition.phase_policy(phase_run.position)
    roles = phase_runs.list_roles(session, phase_run_id=phase_run.id)
    causes = [Cause.parse(cause) for cause in run.causes]
    check = versions.find_check(session, phase_run_id=phase_run.id, commit=pipeline.work_commit or "")
    told, left_out = _messages(session, pipeline, run)
    brief = Brief(
        pipeline_id=pipeline.id,
        phase=phase_run.phase,
        iteration=phase_run.iteration,
        role=run.role,
        run_id=str(run.id),
        round=run.number,
        branch=role_branch(pipeline.id, run.role),
        work_branch=work_branch(pipeline.id),
        task=definition.prompt,
        roster=tuple(_entry(role, policy) for role in roles if not role.is_dropped),
        causes=tuple(causes),
        objections=_objections(session, run),
        directives=_directives(session, pipeline),
        messages=told,
        conflicts=_conflicts(session, run),
        check_log=check.log if check and any(c.kind is CauseKind.CHECK for c in causes) else None,
        left_behind=_left_behind(session, run),
        last_end=_last_end(session, run),
        left_out={"messages": left_out} if left_out else {},
        feedback=_feedback(phase_run, run.role),
        cycle=_cycle(pipeline, phase_run, policy, run.role),
        started_at=run.started_at,
        soft_deadline_at=phase_run.soft_deadline_at,
        converge_at=phase_run.converge_at,
        hard_deadline_at=phase_run.hard_deadline_at,
    )
    return brief_budgets.within(brief)


def hand_over(session: Session, *, run: AgentRun, lacking: Sequence[str] = ()) -> Brief:
    """Write the brief of a run that is about to start, and note what it is told.

    The open objections against its role are this run's to answer from here on. *lacking* are submodules
    whose files its clone does not have.
    """
    for row in versions.list_objections(session, phase_run_id=run.phase_run_id):
        if row.about_role == run.role and row.status is ObjectionStatus.OPEN:
            row.delivered_to = run.id
    session.flush()
    brief = write(session, run=run)
    if brief.messages and run.role is not None:
        role = phase_runs.lock_role(session, phase_run_id=run.phase_run_id, role=run.role)
        role.cursor = max(role.cursor, brief.messages[-1].id)
    return brief_budgets.within(brief.model_copy(update={"lacking": tuple(lacking)}))


def _feedback(phase_run: PhaseRun, role: str) -> tuple[str, ...]:
    left = phase_run.feedback.get(role, [])
    return tuple(map(str, left)) if isinstance(left, list) else ()


def _cycle(pipeline: Pipeline, phase_run: PhaseRun, policy: PhasePolicy, role: str) -> Cycle | None:
    if policy.convergence is None:
        return None
    return Cycle(
        kind=policy.role(role).kind,
        iteration=phase_run.iterations_used,
        most=policy.max_iterations + pipeline.extra_iterations,
        is_to_work_first=phase_run.iterations_used <= LAST_OF_ZERO_TO_ONE,
        criteria=policy.convergence,
        result_fields=field_names(policy.reporting_kind(role)),
    )


def _entry(role: Role, policy: PhasePolicy) -> RosterEntry:
    rules = policy.role(role.role)
    return RosterEntry(
        role=role.role,
        required=rules.required,
        state=role.state,
        version=role.version,
        needs=tuple(need.role for need in rules.needs),
        reviews=rules.reviews,
    )


def _objections(session: Session, run: AgentRun) -> tuple[ObjectionText, ...]:
    rows = versions.list_objections(session, phase_run_id=run.phase_run_id)
    return tuple(_objection(row) for row in rows if _concerns(row, run))


def _concerns(row: Objection, run: AgentRun) -> bool:
    is_handed_over = row.delivered_to == run.id and row.status is ObjectionStatus.OPEN
    return is_handed_over or (row.from_role == run.role and row.status in LIVE_OBJECTIONS)


def _objection(row: Objection) -> ObjectionText:
    return ObjectionText(
        number=row.number,
        from_role=row.from_role,
        about_role=row.about_role,
        version=row.version,
        status=row.status,
        round=row.round,
        reason=row.reason,
        answer=row.answer,
    )


def _directives(session: Session, pipeline: Pipeline) -> tuple[DirectiveText, ...]:
    rows = decisions.list_answered(session, pipeline_id=pipeline.id, kinds=ASKED_FOR_WORDS)
    return tuple(
        DirectiveText(number=row.id, question=row.question, answer=row.resolution or "") for row in rows
    )


def _messages(
    session: Session, pipeline: Pipeline, run: AgentRun
) -> tuple[tuple[MessageRead, ...], LeftOut | None]:
    """The oldest messages that no run of the role has handled, and how many there is no room for.

    The role's cursor may pass over what is given here and over nothing else.
    """
    role = phase_runs.get_role(session, phase_run_id=run.phase_run_id, role=run.role or "")
    found = message_rows.list_messages(
        session,
        pipeline_id=pipeline.id,
        role=role.role,
        after=role.handled_message,
        limit=MAX_MESSAGES,
        most_bytes=budgets.MESSAGES,
        phase_run_id=run.phase_run_id,
    )
    readable = [messages.read(message) for message in found.messages]
    fit = budgets.fitting(readable, most=budgets.MESSAGES, text_of=_words)
    if not fit.left and not found.has_more:
        return fit.kept, None
    last = fit.kept[-1].id
    left = message_rows.count_left(
        session,
        pipeline_id=pipeline.id,
        phase_run_id=run.phase_run_id,
        role=role.role,
        after=last,
        limit=MOST_COUNTED,
    )
    return fit.kept, LeftOut(
        number=left.number,
        is_least=left.number == MOST_COUNTED,
        first=left.first,
        last=left.last,
        after=last,
    )


def _words(message: MessageRead) -> str:
    return message.subject + message.body + (json.dumps(message.metadata) if message.metadata else "")


def _conflicts(session: Session, run: AgentRun) -> tuple[str, ...]:
    own = [v for v in versions.list_versions(session, phase_run_id=run.phase_run_id) if v.role == run.role]
    is_conflicted = bool(own) and own[-1].merge_status is MergeStatus.CONFLICTED
    return tuple(own[-1].conflict_paths) if is_conflicted else ()


def _last_end(session: Session, run: AgentRun) -> EndText | None:
    last = agent_runs.find_run_before(session, run=run)
    if last is None or not failures.has_failed(last):
        return None
    return EndText(text=failures.sentence(last), log_tail=log_tail.lines(last.log_tail))


def _left_behind(session: Session, run: AgentRun) -> LeftBehind | None:
    """What the system did to the role's work since its last run that ended as it should."""
    last = agent_runs.find_run_before(session, run=run)
    return leftovers.left_behind(last) if last else None
