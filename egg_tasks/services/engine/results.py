"""Typed results: taken from agents, read from their output, and told."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import credentials
from egg_tasks.services.bus import events, shares
from egg_tasks.services.engine import epochs
from egg_tasks.services.engine.epochs import Epoch
from models.consensus.policy import PhasePolicy
from models.events import EventType
from models.queries import phase_runs, pipelines, results
from models.schemas.report import ResultRead
from models.schemas.result import read_block, read_output, validate
from models.schemas.result_block import Fields
from models.shares import Share
from models.states import ParseStatus
from models.tables import AgentRun, PhaseRun, Pipeline, Result

ASKED_MORE = "the egg of that time asked for more fields"
"""All that is left to say of a block that was refused and would be taken now."""


def submit(session: Session, *, run_id: UUID, fields: Mapping[str, object], now: datetime) -> Result:
    """Take a run's result; the same again is the one that stands. `Faulty` names every field that is wrong.

    Taken as long as the run lives, in a closing phase run too.
    """
    run = credentials.hold(session, run_id=run_id)
    assert run.role is not None, "a check has no token"  # noqa: S101
    epoch = epochs.of_run(session, run, now=now)
    sound = validate(epoch.policy.reporting_kind(run.role), fields)
    last = results.find_last_result(session, run_id=run_id)
    if last is not None and last.fields == sound:
        return last
    raw = json.dumps(fields, ensure_ascii=False)
    shares.spend(session, run_id=run_id, share=Share.RESULTS, size=len(raw.encode()), now=now)
    row = _row(run, ParseStatus.SUBMITTED, raw=raw, fields=sound, now=now)
    results.add_result(session, result=row)
    _tell(epoch, run, row)
    return row


def take_from_output(epoch: Epoch, run: AgentRun, *, output: str) -> None:
    """Keep the result that a run wrote into its output, unless it has submitted one."""
    if run.role is None or results.find_last_result(epoch.session, run_id=run.id) is not None:
        return
    reading = read_output(epoch.policy.reporting_kind(run.role), output)
    if reading is None:
        return
    status = ParseStatus.INVALID if reading.faults else ParseStatus.PARSED
    row = _row(run, status, raw=reading.raw, fields=dict(reading.fields), now=epoch.now)
    results.add_result(epoch.session, result=row)
    _tell(epoch, run, row)


def list_results(session: Session, *, pipeline_id: str, with_raw: bool = False) -> tuple[ResultRead, ...]:
    """The results of a pipeline, oldest first."""
    pipeline = pipelines.get_pipeline(session, pipeline_id=pipeline_id)
    rows = results.list_results(session, pipeline_id=pipeline_id)
    runs = {row.id: row for row in phase_runs.list_phase_runs(session, pipeline_id=pipeline_id)}
    return _read(rows, pipeline, runs, with_raw=with_raw)


def list_standing(session: Session, *, phase_run: PhaseRun) -> tuple[ResultRead, ...]:
    """The results that stand in a phase run, as they were given."""
    rows = results.list_results(session, pipeline_id=phase_run.pipeline_id, phase_run_id=phase_run.id)
    pipeline = pipelines.get_pipeline(session, pipeline_id=phase_run.pipeline_id)
    found = _read(rows, pipeline, {phase_run.id: phase_run}, with_raw=False)
    return tuple(result for result in found if result.stands)


def _read(
    rows: Sequence[Result], pipeline: Pipeline, runs: Mapping[UUID, PhaseRun], *, with_raw: bool
) -> tuple[ResultRead, ...]:
    standing = {row.id for row in results.standing(rows).values()}
    return tuple(
        ResultRead.model_validate(
            {
                "id": row.id,
                "phase": runs[row.phase_run_id].phase,
                "iteration": runs[row.phase_run_id].iteration,
                "role": row.role,
                "run": row.agent_run_id,
                "parse_status": row.parse_status,
                "stands": row.id in standing,
                "fields": row.fields,
                "faults": _faults(row, pipeline.definition.phase_policy(runs[row.phase_run_id].position)),
                "raw": row.raw if with_raw else None,
                "timestamp": row.created_at,
            }
        )
        for row in rows
    )


def _faults(row: Result, policy: PhasePolicy) -> tuple[str, ...]:
    """What keeps a block from being a result, found again in its words."""
    if row.parse_status is not ParseStatus.INVALID:
        return ()
    found = read_block(policy.reporting_kind(row.role), row.raw).faults
    return tuple(map(str, found)) or (ASKED_MORE,)


def _row(run: AgentRun, status: ParseStatus, *, raw: str, fields: Fields, now: datetime) -> Result:
    return Result(
        pipeline_id=run.pipeline_id,
        phase_run_id=run.phase_run_id,
        agent_run_id=run.id,
        role=run.role,
        parse_status=status,
        raw=raw,
        fields=fields,
        created_at=now,
    )


def _tell(epoch: Epoch, run: AgentRun, row: Result) -> None:
    kind, text = EventType.RESULT_REPORTED, f"{events.label(run)} reports {row.fields.get('status')}"
    text += f": {row.fields.get('summary')}"
    if row.parse_status is ParseStatus.INVALID:
        kind = EventType.RESULT_INVALID
        text = f"the result of {events.label(run)} cannot be read: {_faults(row, epoch.policy)[0]}"
    details = {"result": row.id, "parse_status": str(row.parse_status), "fields": row.fields}
    epoch.tell(kind, text, run=run, details=details)
