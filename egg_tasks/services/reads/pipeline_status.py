"""Reports: where a pipeline stands and what it waits for. They lock nothing and write nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.ports import Workspace
from egg_tasks.services.agents import halts as halt_words
from egg_tasks.services.agents import leftovers, publications, tries
from egg_tasks.services.bus import shares
from egg_tasks.services.engine import failures, results
from egg_tasks.services.reads import consensus_status, history
from egg_tasks.services.reads.consensus_status import Standing
from models.answers import after_a_mend, usual
from models.consensus.policy import Mode
from models.errors import NotFound
from models.git_names import work_branch
from models.masking import masked
from models.queries import (
    agent_runs,
    decisions,
    halts,
    messages,
    phase_runs,
    pipelines,
    rebases,
    reports,
    versions,
)
from models.schemas.report import (
    AgentStanding,
    Concurrent,
    DecisionRead,
    FailureRead,
    HaltRead,
    MessageCounts,
    PipelineDetail,
    PipelinePage,
    PipelineRead,
    ProgressRead,
    RebaseRead,
    StatusRead,
    WhyRead,
)
from models.states import LIVE_PHASES, DecisionStatus, PipelineStatus, is_final
from models.tables import AgentRun, Decision, Halt, PhaseRun, Pipeline, Rebase


@dataclass(frozen=True)
class Merges:
    """A work branch's base and the merges that followed, each with the version's name and the commit."""

    pipeline_id: str
    base: str | None
    steps: tuple[tuple[str, str], ...]


def list_pipelines(
    session: Session, workspace: Workspace, *, status: PipelineStatus | None, after: str | None, limit: int
) -> PipelinePage:
    """A page of pipelines, newest first."""
    found = pipelines.list_pipelines(session, status=status, after=after, limit=limit + 1)
    page = found[:limit]
    last = reports.last_phase_runs(session, pipeline_ids=[pipeline.id for pipeline in page])
    return PipelinePage(
        pipelines=tuple(_pipeline(row, last.get(row.id), workspace) for row in page),
        next_after=page[-1].id if len(found) > limit else None,
    )


def pipeline(session: Session, workspace: Workspace, *, pipeline_id: str) -> PipelineDetail:
    """One pipeline with its definition."""
    row = pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    last = phase_runs.find_last_phase_run(session, pipeline_id=pipeline_id)
    short = _pipeline(row, last, workspace)
    return PipelineDetail.model_validate(
        {
            **short.model_dump(),
            "definition": {**row.definition.model_dump(mode="json"), "repo": short.repo},
            "leftovers": leftovers.of_pipeline(session, pipeline_id=pipeline_id),
            "failures": _failures(session, row, last),
            "file": row.file,
            "overrides": row.overrides,
            "rebase": rebase_read(rebases.find_last_rebase(session, pipeline_id=pipeline_id)),
            "reruns": pipelines.list_reruns(session, pipeline_id=pipeline_id),
        }
    )


def list_merges(session: Session, *, pipeline_id: str) -> Merges:
    """What the work branch of a pipeline came to be, version by version."""
    row = pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    merged = versions.list_merged(session, pipeline_id=pipeline_id)
    steps = [
        (each.merged_at, f"{each.role}'s version {each.number}", str(each.merge_commit)) for each in merged
    ]
    steps += [
        (each.ended_at, f"the base at {str(each.commit)[:10]}", str(each.merge_commit))
        for each in rebases.list_merged(session, pipeline_id=pipeline_id)
    ]
    steps.sort(key=lambda step: (step[0] is not None, step[0]))
    return Merges(pipeline_id, row.base_commit, tuple((name, commit) for _, name, commit in steps))


def unchanged(workspace: Workspace, merges: Merges) -> tuple[str, ...]:
    """The versions that are merged and left the work branch's files as they were."""
    if merges.base is None or not merges.steps:
        return ()
    commits = (merges.base, *(commit for _, commit in merges.steps))
    try:
        trees = workspace.trees(merges.pipeline_id, commits=commits)
    except NotFound:
        return ()
    before_and_after = zip(commits, merges.steps, strict=False)
    return tuple(name for before, (name, after) in before_and_after if _same(trees, before, after))


def _same(trees: Mapping[str, str], before: str, after: str) -> bool:
    return before == after or (before in trees and trees[before] == trees.get(after))


def status(session: Session, *, pipeline_id: str, now: datetime) -> StatusRead:
    """Where a pipeline stands, with the `concurrent` block of its newest phase run."""
    standing = consensus_status.read(session, pipeline_id=pipeline_id, now=now)
    row, last = standing.pipeline, standing.phase_run
    by_type = messages.count_by_type(session, pipeline_id=pipeline_id)
    counts = MessageCounts(total=sum(by_type.values()), by_type=by_type)
    return StatusRead(
        id=row.id,
        status=row.status,
        rerun_of=row.rerun_of_name,
        is_rerun_of_deleted=_is_rerun_of_deleted(row),
        current_phase=last.phase if last else None,
        iteration=last.iteration if last else None,
        phase_status=last.status if last else None,
        stop_reason=last.stop_reason if last else None,
        iterations_used=last.iterations_used if last else None,
        max_iterations=history.max_iterations(standing.policy, row.extra_iterations),
        results=results.list_standing(session, phase_run=last) if last else (),
        why=_why(session, standing),
        pending_decisions=list_decisions(session, pipeline_id=pipeline_id, status=DecisionStatus.PENDING),
        concurrent=_concurrent(session, standing, counts),
        messages_total=counts.total,
        halt=halt_read(halts.find_standing_halt(session)),
        rebase=rebase_read(rebases.find_last_rebase(session, pipeline_id=pipeline_id)),
    )


def why(session: Session, *, pipeline_id: str, now: datetime) -> WhyRead:
    """What a pipeline waits for, and who keeps its phase from ending."""
    standing = consensus_status.read(session, pipeline_id=pipeline_id, now=now)
    return WhyRead(
        pipeline=pipeline_id,
        status=standing.pipeline.status,
        phase=standing.phase_run.phase if standing.phase_run else None,
        why=_why(session, standing),
        waiting=consensus_status.waiting(standing),
        decisions=list_decisions(session, pipeline_id=pipeline_id, status=DecisionStatus.PENDING),
        halt=halt_read(halts.find_standing_halt(session)),
        leftovers=leftovers.of_pipeline(session, pipeline_id=pipeline_id),
        failures=_failures(session, standing.pipeline, standing.phase_run),
    )


def halt_read(row: Halt | None) -> HaltRead | None:
    """A halt as it is read."""
    return HaltRead.model_validate(row, from_attributes=True) if row else None


def rebase_read(row: Rebase | None) -> RebaseRead | None:
    """A rebase as it is read."""
    return RebaseRead.model_validate(row, from_attributes=True) if row else None


def list_decisions(
    session: Session, *, pipeline_id: str, status: DecisionStatus | None = None
) -> tuple[DecisionRead, ...]:
    """The questions of a pipeline, by number."""
    rows = decisions.list_decisions(
        session, pipeline_id=pipeline_id, is_pending=status is DecisionStatus.PENDING
    )
    phases = {row.id: row.phase for row in phase_runs.list_phase_runs(session, pipeline_id=pipeline_id)}
    wanted = [row for row in rows if status in {None, row.status}]
    failed = failures.of_decisions(session, wanted)
    return tuple(decision_read(row, phases[row.phase_run_id], failed.get(row.id, ())) for row in wanted)


def decision(session: Session, *, decision_id: int) -> DecisionRead:
    """One question."""
    row = decisions.get_decision(session, decision_id=decision_id)
    phase = phase_runs.get_phase_run(session, phase_run_id=row.phase_run_id).phase
    return decision_read(row, phase, failures.of_decisions(session, [row]).get(row.id, ()))


def decision_read(row: Decision, phase: str, failed: tuple[FailureRead, ...] = ()) -> DecisionRead:
    """A question as it is read."""
    is_pending = row.status is DecisionStatus.PENDING
    return DecisionRead(
        id=row.id,
        pipeline_id=row.pipeline_id,
        phase=phase,
        kind=row.kind,
        question=row.question,
        options=tuple(row.options),
        default=row.default,
        deadline=row.deadline,
        is_free=row.is_free,
        asked_by=row.asked_by,
        status=row.status,
        resolution=row.resolution,
        roles=tuple(row.roles),
        created_at=row.created_at,
        resolved_at=row.resolved_at,
        how_to_answer=usual(row.id, options=row.options) if is_pending else None,
        failures=failed,
        note=after_a_mend(row.pipeline_id, row.options) if is_pending else None,
    )


def _failures(session: Session, row: Pipeline, last: PhaseRun | None) -> tuple[FailureRead, ...]:
    """What has failed in the newest phase run; nothing of a pipeline that came to a good end."""
    if last is None or row.status is PipelineStatus.COMPLETE:
        return ()
    return failures.of_phase_run(session, pipeline_id=row.id, phase_run_id=last.id)


def _pipeline(row: Pipeline, last: PhaseRun | None, workspace: Workspace) -> PipelineRead:
    return PipelineRead(
        id=row.id,
        status=row.status,
        repo=masked(row.definition.repo),
        base=row.definition.base,
        base_commit=row.base_commit or row.definition.base_commit,
        current_phase=last.phase if last else None,
        iteration=last.iteration if last else None,
        work_branch=work_branch(row.id),
        work_commit=row.work_commit,
        repository=str(workspace.repository(row.id)),
        rerun_of=row.rerun_of_name,
        is_rerun_of_deleted=_is_rerun_of_deleted(row),
        why=row.why or (last.why if last and last.status in LIVE_PHASES else None),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _is_rerun_of_deleted(row: Pipeline) -> bool:
    return row.rerun_of is None and row.rerun_of_name is not None


def _why(session: Session, standing: Standing) -> str:
    halt = halts.find_standing_halt(session)
    held_up = publications.held_up(standing.pipeline)
    own, used_up = _own_reason(session, standing), _used_up(session, standing)
    waiting = tries.held_up(agent_runs.list_held_up_agent_runs(session, pipeline_id=standing.pipeline.id))
    reason = "; ".join((own, *used_up, *waiting, *([held_up] if held_up else [])))
    if halt is None or is_final(standing.pipeline.status):
        return reason
    return f"{halt_words.sentence(halt)}; {reason}"


def _used_up(session: Session, standing: Standing) -> tuple[str, ...]:
    if is_final(standing.pipeline.status):
        return ()
    return shares.used_up(session, pipeline_id=standing.pipeline.id)


def _own_reason(session: Session, standing: Standing) -> str:
    asked = decisions.list_decisions(session, pipeline_id=standing.pipeline.id, is_pending=True)
    if standing.pipeline.status is PipelineStatus.PAUSED:
        waits = f"; decision {', '.join(str(row.id) for row in asked)} waits with it" if asked else ""
        return f"it is paused: egg pipeline resume {standing.pipeline.id}{waits}"
    holding = [row for row in asked if consensus_status.is_waited_for(standing, row)]
    if holding:
        return "; ".join(f"a person's answer to decision {row.id}: {row.question}" for row in holding)
    aside = "".join(f"; {row.asked_by} asks decision {row.id}: {row.question}" for row in asked)
    return consensus_status.sentence(standing) + aside


def _concurrent(session: Session, standing: Standing, counts: MessageCounts) -> Concurrent:
    return Concurrent(
        enabled=standing.policy.mode is Mode.CONCURRENT,
        max_concurrent_agents=standing.policy.max_concurrent_agents,
        messages=counts,
        consensus=consensus_status.consensus(session, standing),
        agents=_agents(session, standing.pipeline.id, standing.phase_run.id) if standing.phase_run else (),
    )


def _agents(session: Session, pipeline_id: str, phase_run_id: UUID) -> Sequence[AgentStanding]:
    """The latest run of each role."""
    runs = agent_runs.list_agent_runs(session, pipeline_id=pipeline_id, phase_run_id=phase_run_id)
    latest = {run.role: run for run in sorted(runs, key=lambda run: run.number) if run.role is not None}
    return tuple(
        AgentStanding(
            role=role,
            status=run.status,
            condition=failures.word(run),
            run=run.id,
            node=run.node,
            isolation=run.isolation,
            container_id=run.container,
            started_at=run.started_at,
            progress=_progress(run),
        )
        for role, run in latest.items()
    )


def _progress(run: AgentRun) -> ProgressRead | None:
    if run.progressed_at is None:
        return None
    return ProgressRead(text=run.progress or "", percent=run.progress_percent, at=run.progressed_at)
