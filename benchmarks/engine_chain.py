"""A chain of phases: what one takes, and the two moments nobody should wait for."""

import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import select

from benchmarks import bare
from benchmarks.engine_work import AGENT, await_end, document, submit
from benchmarks.figures import Figure, quantile
from benchmarks.stack import Stack
from egg_tasks.database import unit_of_work
from models.tables import AgentRun, Event, PhaseRun

AGENTS = 2
SECONDS_A_PHASE = 30.0


def measure(stack: Stack, phases: int) -> list[Figure]:
    """Run a chain of phases with the engine, with bare Celery, and one program after the other."""
    definition = document(stack, "chain", AGENT, roles=AGENTS, phases=phases)
    began = time.monotonic()
    name = submit(stack, definition)
    status = await_end(stack, name, seconds=60 + SECONDS_A_PHASE * phases)
    ours = 1000 * (time.monotonic() - began) / phases
    assert status == "complete", f"the chain is {status}"  # noqa: S101
    celery, celery_turns = _celery(phases)
    alone = _alone(phases)
    closing, turns = moments(name)
    whole = f"{phases} phases of {AGENTS} agents, time a phase"
    return [
        Figure("a chain of phases", whole, ours, "ms", "bare Celery", celery),
        Figure("a chain of phases", whole, ours, "ms", "plain subprocess", alone),
        *_two("from the last READY to the phase closing", closing, [], ""),
        *_two("from the last agent's end to the next phase's agents", turns, celery_turns, "bare Celery"),
    ]


def _two(what: str, ours: Sequence[float], theirs: Sequence[float], yardstick: str) -> list[Figure]:
    return [
        Figure(
            "from one moment to the next",
            f"{what}, p{share}",
            quantile(ours, share / 100),
            "ms",
            yardstick,
            quantile(theirs, share / 100) if theirs else None,
        )
        for share in (50, 99)
        if ours
    ]


def moments(name: str) -> tuple[list[float], list[float]]:
    """From the last READY to closing, and from the last end to the first start of the next phase, in ms."""
    with unit_of_work() as session:
        rows = select(PhaseRun).where(PhaseRun.pipeline_id == name).order_by(PhaseRun.position)
        phases = session.scalars(rows).all()
        runs = defaultdict(list)
        for run in session.scalars(select(AgentRun).where(AgentRun.pipeline_id == name)):
            runs[run.phase_run_id].append(run)
        said = select(Event.phase, Event.created_at).where(
            Event.pipeline_id == name, Event.type == "readiness.changed"
        )
        spoken = defaultdict(list)
        for phase, at in session.execute(said):
            spoken[phase].append(at)
    closing = [
        1000 * (each.closing_at - max(spoken[each.phase])).total_seconds()
        for each in phases
        if each.closing_at
    ]
    turns = []
    for before, after in pairwise(phases):
        ended = [run.ended_at for run in runs[before.id] if run.ended_at]
        started = [run.started_at for run in runs[after.id] if run.started_at]
        turns.append(1000 * (min(started) - max(ended)).total_seconds())
    return closing, turns


def _celery(phases: int) -> tuple[float, list[float]]:
    """The time a phase takes, and from a phase's last end to the next one's first start, in ms."""
    began = time.monotonic()
    bare.phase.apply_async((list(AGENT), AGENTS, phases))
    found = sorted(bare.times(AGENTS * phases + 1, seconds=60 + SECONDS_A_PHASE * phases))
    took = 1000 * (time.monotonic() - began) / phases
    groups = [found[at : at + AGENTS] for at in range(0, len(found), AGENTS)]
    pairs = pairwise(groups)
    turns = [1000 * (min(a for a, _ in after) - max(b for _, b in before)) for before, after in pairs]
    return took, turns


def _alone(phases: int) -> float:
    began = time.monotonic()
    for _ in range(phases):
        running = [subprocess.Popen(AGENT, env={}) for _ in range(AGENTS)]
        for process in running:
            process.wait()
    return 1000 * (time.monotonic() - began) / phases
