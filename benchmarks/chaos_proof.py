"""What must hold when the chaos is over: nothing lost, nothing twice, nobody asked, nothing left running."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from benchmarks.chaos_kills import is_agent, processes
from egg_tasks.database import unit_of_work
from models.states import Failure, PhaseStatus, PipelineStatus, RunStatus, StopReason
from models.tables import AgentRun, Decision, Event, Message, PhaseRun, Pipeline

FILES = {
    "coder": "1\n2\n",
    "tester": "tested\n",
    "documenter": "1\n2\n",
    "integrator": "integrated\n",
}
"""What each role's file holds in each phase of a run without faults."""


def violations(home: Path, board: Path) -> list[str]:
    """Everything that is not as it would be without faults, a sentence each."""
    with unit_of_work() as session:
        return [
            *_pipelines(session, home),
            *_phases(session),
            *_agent_runs(session, board),
            *_numbers(session),
            *_messages(session, board),
            *_processes(home),
        ]


def is_quiet(home: Path) -> bool:
    """Whether all pipelines have ended, their runs are closed and their agents gone."""
    running = select(func.count()).where(Pipeline.ended_at.is_(None))
    unclosed = select(func.count()).where(AgentRun.closed_at.is_(None))
    unpublished = select(func.count()).where(Pipeline.published_commit != Pipeline.work_commit)
    with unit_of_work() as session:
        left = sum(session.scalars(query).one() for query in (running, unclosed, unpublished))
    return not left and not any(is_agent(pid) for pid in processes(home))


def _pipelines(session: Session, home: Path) -> Iterator[str]:
    for pipeline in session.scalars(select(Pipeline)):
        if pipeline.status is not PipelineStatus.COMPLETE:
            yield f"{pipeline.id} is {pipeline.status}: {pipeline.why}"
            continue
        phases = session.scalars(select(PhaseRun.phase).where(PhaseRun.pipeline_id == pipeline.id))
        expected = {f"{phase}/{role}.txt": text for phase in phases for role, text in FILES.items()}
        held = _files(home / "repos" / f"{pipeline.id}.git", f"egg/{pipeline.id}/work")
        if held != {"README.md": "chaos\n", **expected}:
            yield f"the work branch of {pipeline.id} holds {held}"
    for decision in session.scalars(select(Decision)):
        yield f"a person was asked in {decision.pipeline_id}: {decision.question}"


def _files(repository: Path, branch: str) -> dict[str, str]:
    git = ["git", "--git-dir", str(repository)]
    listed = subprocess.run([*git, "ls-tree", "-r", "--name-only", branch], check=True, capture_output=True)
    paths = listed.stdout.decode().splitlines()
    shown = (
        subprocess.run([*git, "show", f"{branch}:{path}"], check=True, capture_output=True) for path in paths
    )
    return {path: each.stdout.decode() for path, each in zip(paths, shown, strict=True)}


def _phases(session: Session) -> Iterator[str]:
    kinds = ("phase.started", "consensus.reached", "phase.completed")
    query = select(Event.pipeline_id, Event.phase, Event.iteration, Event.type)
    told = Counter(tuple(row) for row in session.execute(query.where(Event.type.in_(kinds))))
    for phase_run in session.scalars(select(PhaseRun)):
        name = (phase_run.pipeline_id, phase_run.phase, phase_run.iteration)
        if (phase_run.status, phase_run.stop_reason) != (PhaseStatus.COMPLETE, StopReason.CONSENSUS):
            yield f"{name} is {phase_run.status}: {phase_run.why}"
        for kind in kinds:
            if (times := told.pop((*name, kind), 0)) != 1:
                yield f"{name} has {times} events {kind}"
    yield from (f"{key} is told {times} times of no phase run" for key, times in told.items())


def _agent_runs(session: Session, board: Path) -> Iterator[str]:
    starts = Counter(board.joinpath("starts").read_text().split())
    for run in session.scalars(select(AgentRun)):
        times = starts.pop(str(run.id), 0)
        # One that was killed may have died before it could note anything.
        fewest = 1 if run.status is RunStatus.SUCCEEDED and run.verdict else 0
        name = f"run {run.number} of {run.role} in {run.pipeline_id} ({run.id}, {run.status})"
        if not fewest <= times <= 1:
            yield f"{name} was started {times} times"
        if run.closed_at is None or run.lease_owner is not None:
            yield f"{name} is not closed"
        # A shim that is killed before it has taken its mark has started nobody, and is tried again.
        is_unstarted = run.failure is Failure.STARTUP and not times
        if run.status not in {RunStatus.SUCCEEDED, RunStatus.LOST} and not is_unstarted:
            yield f"{name} ended so: {run.error or run.exit_code}"
    yield from (f"{run_id} was started {times} times and is no run" for run_id, times in starts.items())


def _numbers(session: Session) -> Iterator[str]:
    for table in (Message, Event):
        count, last = func.count(), func.max(table.id)
        query = select(table.pipeline_id, func.min(table.id), last, count).group_by(table.pipeline_id)
        for pipeline_id, lowest, highest, number in session.execute(query):
            if (lowest, highest) != (1, number):
                yield f"{number} {table.__tablename__} of {pipeline_id} are numbered {lowest} to {highest}"


def _messages(session: Session, board: Path) -> Iterator[str]:
    rows = {(row.pipeline_id, str(row.id)): row.body for row in session.scalars(select(Message))}
    for line in set(board.joinpath("sent").read_text().splitlines()):
        pipeline_id, number, body = line.split("\t")
        if rows.get((pipeline_id, number)) != body:
            yield f"message {number} of {pipeline_id} was taken and is lost: {body}"
    keys = select(Message.pipeline_id, Message.body).where(Message.client_key.is_not(None))
    for key, times in Counter(session.execute(keys)).items():
        if times != 1:
            yield f"{key} was sent once and is there {times} times"


def _processes(home: Path) -> Iterator[str]:
    for pid in processes(home):
        if is_agent(pid):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield f"process {pid} is left over: {line}"
