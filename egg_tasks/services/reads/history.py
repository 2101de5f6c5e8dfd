"""Histories: what happened in a pipeline, as it is read."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services.engine import failures, results
from egg_tasks.services.reads import consensus_status
from models import log_tail
from models.answers import logs_command
from models.consensus.policy import PhasePolicy
from models.consensus.step import Cause
from models.errors import Conflict
from models.queries import agent_runs, events, phase_runs, pipelines, reports, versions
from models.schemas.definition import Definition
from models.schemas.history import (
    AgentRead,
    CheckRead,
    EventPage,
    EventRead,
    ObjectionRead,
    PhaseRead,
    PhaseRole,
    VersionRead,
)
from models.states import Failure
from models.tables import AgentRun, Event, PhaseRun

PAGE_BYTES = 1024 * 1024
"""So much a page of events holds, or a single event more."""


def list_phases(session: Session, *, pipeline_id: str, now: datetime) -> tuple[PhaseRead, ...]:
    """The phase runs of a pipeline, oldest first."""
    pipeline = pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    definition = pipeline.definition
    rows = phase_runs.list_phase_runs(session, pipeline_id=pipeline_id)
    words = consensus_status.conditions(session, [(pipeline, row) for row in rows], now=now)
    extra = pipeline.extra_iterations
    return tuple(_phase(session, row, definition, words[row.id], extra=extra) for row in rows)


def list_agents(session: Session, *, pipeline_id: str) -> tuple[AgentRead, ...]:
    """The agent runs of a pipeline, oldest first."""
    pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    phases = {row.id: row for row in phase_runs.list_phase_runs(session, pipeline_id=pipeline_id)}
    rows = agent_runs.list_agent_runs(session, pipeline_id=pipeline_id)
    return tuple(_agent(row, phases[row.phase_run_id]) for row in rows)


def agent(session: Session, *, pipeline_id: str, run_id: UUID) -> AgentRead:
    """One agent run of a pipeline."""
    row = agent_runs.get_agent_run_of(session, pipeline_id=pipeline_id, run_id=run_id)
    return _agent(row, phase_runs.get_phase_run(session, phase_run_id=row.phase_run_id))


def list_events(session: Session, *, pipeline_id: str, after: int, limit: int) -> EventPage:
    """The oldest events above *after*; `Conflict` when that is beyond the newest."""
    pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    tip = reports.last_event_id(session, pipeline_id=pipeline_id)
    if after > tip:
        raise Conflict(f"there is no event {after} yet; the newest is {tip}", {"tip": tip})
    found = events.list_events(
        session, pipeline_id=pipeline_id, after=after, limit=limit, most_bytes=PAGE_BYTES
    )
    page = found.events
    return EventPage(
        events=tuple(_event(row) for row in page),
        next_after=page[-1].id if page else after,
        has_more=found.has_more,
    )


def max_iterations(policy: PhasePolicy, extra: int) -> int | None:
    """How often a phase may be run until it converges; None where it is not repeated."""
    return None if policy.convergence is None else policy.max_iterations + extra


def _phase(
    session: Session, row: PhaseRun, definition: Definition, words: Mapping[str, str], *, extra: int
) -> PhaseRead:
    policy = definition.phase_policy(row.position)
    required: Mapping[str, bool] = {role.role: role.required for role in policy.roles}
    return PhaseRead(
        id=row.id,
        phase=row.phase,
        iteration=row.iteration,
        status=row.status,
        stop_reason=row.stop_reason,
        why=row.why,
        started_at=row.started_at,
        ended_at=row.ended_at,
        roles=tuple(
            PhaseRole(
                role=role.role,
                required=required[role.role],
                state=role.state,
                condition=words[role.role],
                version=role.version,
                rounds=role.dispatched,
                dropped=role.is_dropped,
            )
            for role in phase_runs.list_roles(session, phase_run_id=row.id)
        ),
        objections=tuple(
            ObjectionRead.model_validate(each, from_attributes=True)
            for each in versions.list_objections(session, phase_run_id=row.id)
        ),
        versions=tuple(
            VersionRead.model_validate(each, from_attributes=True)
            for each in versions.list_versions(session, phase_run_id=row.id)
        ),
        checks=tuple(
            CheckRead.model_validate(each, from_attributes=True)
            for each in versions.list_checks(session, phase_run_id=row.id)
        ),
        iterations_used=row.iterations_used,
        max_iterations=max_iterations(policy, extra),
        results=results.list_standing(session, phase_run=row),
    )


def _agent(row: AgentRun, phase_run: PhaseRun) -> AgentRead:
    return AgentRead(
        run=row.id,
        phase=phase_run.phase,
        iteration=phase_run.iteration,
        role=row.role,
        number=row.number,
        status=row.status,
        condition=failures.word(row),
        causes=tuple(_cause(Cause.parse(text)) for text in row.causes),
        node=row.node,
        isolation=row.isolation,
        container_id=row.container,
        verdict=row.verdict,
        failure=row.failure,
        error=row.error,
        exit_code=row.exit_code,
        signal=row.exit_signal,
        said=failures.sentence(row) if failures.has_failed(row) else "",
        log_tail=log_tail.lines(row.log_tail),
        logs=logs_command(row.pipeline_id, str(row.id), is_set_up=row.failure is Failure.SETUP),
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _cause(cause: Cause) -> str:
    return " ".join(str(part) for part in (cause.kind.value, cause.role, cause.number) if part)


def _event(row: Event) -> EventRead:
    return EventRead.model_validate(
        {
            "id": row.id,
            "type": row.type,
            "phase": row.phase,
            "iteration": row.iteration,
            "role": row.role,
            "run": row.agent_run_id,
            "text": row.text,
            "data": row.details,
            "timestamp": row.created_at,
        }
    )
