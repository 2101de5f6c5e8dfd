"""Overviews: all pipelines at once. So many statements for a page, whatever is on it; nothing is locked."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks import version
from egg_tasks.services.agents import deletions, publications, tries
from egg_tasks.services.engine import failures
from egg_tasks.services.reads import consensus_status, pipeline_status
from models.consensus.step import DecisionKind
from models.queries import agent_runs, clock, halts, inboxes, overviews, pipelines
from models.queries import reports as counts
from models.queries.inboxes import HOLDS_NOBODY, Asked
from models.queries.overviews import Running
from models.schemas.overview import (
    AskedRead,
    FailedRead,
    HeldUpRead,
    Holds,
    InboxPage,
    LastEvent,
    LateRead,
    NodeRead,
    OverviewRead,
    RoleNowRead,
    RunningPage,
    RunningRead,
    ServerDiskRead,
)
from models.schemas.report import FailureRead
from models.states import DecisionStatus, PipelineStatus
from models.tables import Event

FIRST = 3
"""So many questions and failures are in the overview of all."""
LATE = timedelta(seconds=60)
"""A phase nobody looks at for so long after its time is late: the reconciler finds it within 10 s."""


def overview(session: Session, *, disk: ServerDiskRead, now: datetime) -> OverviewRead:
    """How the whole installation is."""
    late = overviews.find_late(session, now=now, grace=LATE)
    nodes = overviews.list_nodes(session)
    return OverviewRead(
        version=version.ours(),
        pipelines=counts.count_pipelines(session),
        nodes=tuple(
            NodeRead(name=each.name, places=each.capacity, taken=each.taken, contained=each.contained)
            for each in nodes
        ),
        waiting_runs=overviews.count_waiting_runs(session),
        ticked_at=clock.find_tick(session),
        late=LateRead(number=late.number, since=late.since),
        halt=pipeline_status.halt_read(halts.find_standing_halt(session)),
        disk=disk,
        questions=counts.count_pending_decisions(session),
        first_questions=_all(session, inboxes.list_pending(session, after=None, limit=FIRST)),
        failures=_failures(session),
        held_up=(*_held_up_runs(session), *_held_up(session)),
    )


def inbox(session: Session, *, status: DecisionStatus | None, after: int | None, limit: int) -> InboxPage:
    """A page of the questions of all pipelines: waiting ones the most urgent first, others newest first."""
    if status is DecisionStatus.PENDING:
        found = inboxes.list_pending(session, after=after, limit=limit + 1)
    else:
        found = inboxes.list_asked(session, status=status, after=after, limit=limit + 1)
    page = _all(session, found[:limit])
    return InboxPage(
        decisions=page,
        next_after=page[-1].id if len(found) > limit else None,
        pending=counts.count_pending_decisions(session),
    )


def running(session: Session, *, after: str | None, limit: int, now: datetime) -> RunningPage:
    """A page of the pipelines that are not over, what needs a person first."""
    found = overviews.list_running(session, after=after, limit=limit + 1)
    page = found[:limit]
    ids = [row.pipeline.id for row in page]
    asked = inboxes.first_pending(session, pipeline_ids=ids)
    events = overviews.last_events(session, pipeline_ids=ids)
    roles = _roles(session, page, now=now)
    return RunningPage(
        pipelines=tuple(
            _running(row, roles[row.phase_run.id], asked.get(row.pipeline.id), events.get(row.pipeline.id))
            for row in page
        ),
        next_after=page[-1].pipeline.id if len(found) > limit else None,
        total=overviews.count_running(session),
        halt=pipeline_status.halt_read(halts.find_standing_halt(session)),
    )


def _held_up(session: Session) -> Iterator[HeldUpRead]:
    """Pipelines for which something is tried in vain."""
    for row in pipelines.list_held_up_pipelines(session, limit=FIRST):
        yield HeldUpRead(pipeline=row.id, text=publications.held_up(row) or deletions.held_up(row))


def _held_up_runs(session: Session) -> Iterator[HeldUpRead]:
    """Pipelines whose runs wait for what is nobody's fault."""
    by_pipeline = groupby(agent_runs.list_held_up_agent_runs(session), key=lambda run: run.pipeline_id)
    for pipeline_id, runs in islice(by_pipeline, FIRST):
        yield HeldUpRead(pipeline=pipeline_id, text="; ".join(tries.held_up(runs)))


def _failures(session: Session) -> tuple[FailedRead, ...]:
    """What went wrong last, runs and pipelines, the last one first."""
    runs = (
        FailedRead(
            pipeline=each.run.pipeline_id,
            phase=each.phase,
            role=each.run.role,
            number=each.run.number,
            failure=each.run.failure,
            text=failures.sentence(each.run),
            at=each.run.ended_at,
        )
        for each in overviews.list_failed_runs(session, limit=FIRST)
        if each.run.ended_at is not None
    )
    ended = (
        FailedRead(
            pipeline=each.id, phase=None, role=None, number=None, failure=None, text=each.why, at=each.at
        )
        for each in overviews.list_failed_pipelines(session, limit=FIRST)
    )
    return tuple(sorted((*runs, *ended), key=lambda each: each.at, reverse=True)[:FIRST])


def _roles(
    session: Session, rows: Sequence[Running], *, now: datetime
) -> defaultdict[UUID, list[RoleNowRead]]:
    words = consensus_status.conditions(session, [(row.pipeline, row.phase_run) for row in rows], now=now)
    found = defaultdict[UUID, list[RoleNowRead]](list)
    for row in overviews.list_roles_now(session, phase_run_ids=list(words)):
        word = words[row.phase_run_id][row.role]
        role = RoleNowRead(role=row.role, state=row.state, condition=word, run=row.run_status)
        found[row.phase_run_id].append(role)
    return found


def _running(
    row: Running, roles: Sequence[RoleNowRead], asked: Asked | None, event: Event | None
) -> RunningRead:
    pipeline = row.pipeline
    return RunningRead(
        id=pipeline.id,
        status=pipeline.status,
        phase=row.phase_run.phase,
        iteration=row.phase_run.iteration,
        phase_status=row.phase_run.status,
        why=_why(row, asked),
        roles=tuple(roles),
        questions=row.questions,
        first_question=_asked(asked) if asked else None,
        last_event=LastEvent.model_validate(
            {"type": event.type, "role": event.role, "text": event.text, "timestamp": event.created_at}
        )
        if event
        else None,
        created_at=pipeline.created_at,
        started_at=pipeline.started_at,
    )


def _why(row: Running, asked: Asked | None) -> str:
    """What it waits for, without a look at all that `egg why PIPELINE` reads."""
    pipeline = row.pipeline
    if pipeline.status is PipelineStatus.PAUSED:
        return f"it is paused: egg pipeline resume {pipeline.id}"
    if asked and asked.urgency < HOLDS_NOBODY:
        return f"a person's answer to decision {asked.decision.id}: {asked.decision.question}"
    if pipeline.work_commit is None and pipeline.why:
        return f"the repository is being prepared: {pipeline.why}"
    return row.phase_run.why


def _all(session: Session, found: Sequence[Asked]) -> tuple[AskedRead, ...]:
    """Questions with the failures they are about: one statement more."""
    failed = failures.of_decisions(session, [each.decision for each in found])
    return tuple(_asked(each, failed.get(each.decision.id, ())) for each in found)


def _asked(asked: Asked, failed: tuple[FailureRead, ...] = ()) -> AskedRead:
    read = pipeline_status.decision_read(asked.decision, asked.phase, failed)
    return AskedRead(**dict(read), pipeline_status=asked.pipeline_status, holds=_holds(asked))


def _holds(asked: Asked) -> Holds:
    decision = asked.decision
    if decision.status is not DecisionStatus.PENDING:
        return Holds.NOBODY
    if asked.pipeline_status is PipelineStatus.AWAITING_HUMAN:
        return Holds.PIPELINE
    if decision.kind is DecisionKind.QUESTION:
        return Holds.NOBODY
    return Holds.ROLES if decision.roles else Holds.PIPELINE
