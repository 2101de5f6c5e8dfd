"""Whole runs in containers: how soon a role is ready again, and what a hundred of them leave on the disk."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from benchmarks.engine_work import ENDED, client, submit
from benchmarks.figures import Figure
from benchmarks.stack import Stack
from benchmarks.workspace_repositories import SMALL, Size, make
from egg_tasks import repository_places, run_places
from egg_tasks.database import unit_of_work
from models.tables import AgentRun, Event

MEGABYTE = 10**6
READY = ("sh", "-c", "egg signal readiness --state READY")
# As an installer: all of it once, and a look where it is there.
SET_UP = (
    "test -e deps/done || (sleep {seconds}; mkdir -p deps;"
    " i=0; while [ $i -lt {files} ]; do head -c 10000 /dev/zero >deps/$i; i=$((i+1)); done; touch deps/done)"
)
LOOK_SECONDS = 0.5
AT_ONCE = 4
OVER = ENDED | {"awaiting_human"}
"""Without a person it gets on no more in any of these."""


def second_run(stack: Stack, place: Path, image: str, *, seconds: int, files: int) -> list[Figure]:
    """How long a role waits for its agent: the first time, and again with the same lock file."""
    source = make(place, Size("locked", SMALL.files))
    document = _document(source, "locked", image, roles=1, phases=2)
    document["agents"] = {
        "program": {
            **_agent(),
            "workspace": {
                "setup": SET_UP.format(seconds=seconds, files=files),
                "cache": {"paths": ["deps"], "key": ["folder0/file0.txt"]},
            },
        }
    }
    first, again = (1000 * took for took in _waits(stack, document))
    return [
        Figure(
            "second run of a role, its lock file unchanged",
            f"from queued to started, {files:,} cached files",
            again,
            "ms",
            f"the first run, with {seconds} s of installing",
            first,
        )
    ]


def _waits(stack: Stack, document: dict[str, object]) -> list[float]:
    name = submit(stack, document)
    _await_end(stack, name)
    with unit_of_work() as session:
        said = select(Event.type, Event.created_at).where(Event.pipeline_id == name).order_by(Event.id)
        told = [(kind, at) for kind, at in session.execute(said)]
    queued, started = ([at for kind, at in told if kind == f"agent.{what}"] for what in ("queued", "started"))
    return [(after - before).total_seconds() for before, after in zip(queued, started, strict=True)]


def disk(stack: Stack, place: Path, image: str, *, runs: int, size: Size) -> list[Figure]:
    """What so many runs leave on the disk, and have on it at most, beside the clones that lived at once."""
    source = make(place, Size("many", size.files, size.bytes_each))
    one = _bytes_of_a_worktree(source)
    document = _document(source, "many", image, roles=AT_ONCE, phases=runs // AT_ONCE)
    name = submit(stack, document)
    most = _await_end(stack, name)
    done = _count(name)
    left = _settled(stack.home / run_places.RUNS)
    repository = _bytes(repository_places.repository(stack.home, name))
    group = f"disk of {done} runs on {size.said}"
    alive = f"{AT_ONCE} worktrees, as many as live at once"
    return [
        Figure(group, "clones, at most", most / MEGABYTE, "MB", alive, AT_ONCE * one / MEGABYTE),
        Figure(
            group, "clones, in the end", left / MEGABYTE, "MB", "a worktree for each", done * one / MEGABYTE
        ),
        Figure(
            group,
            "the pipeline's repository",
            repository / MEGABYTE,
            "MB",
            "its source",
            _bytes(source) / MEGABYTE,
        ),
    ]


def _await_end(stack: Stack, name: str) -> int:
    """Wait until a pipeline is complete; the bytes that clones had at most meanwhile."""
    most, asks = 0, client(stack)
    while (status := str(asks.get(f"/pipelines/{name}")["pipeline"]["status"])) not in OVER:
        most = max(most, _bytes(stack.home / run_places.RUNS))
        time.sleep(LOOK_SECONDS)
    assert status == "complete", f"{name} is {status}"  # noqa: S101
    return most


def _settled(place: Path) -> int:
    """The bytes of a directory once nothing more is taken from it."""
    before, now = -1, _bytes(place)
    while now != before:
        time.sleep(5)
        before, now = now, _bytes(place)
    return now


def _count(name: str) -> int:
    with unit_of_work() as session:
        return len(session.scalars(select(AgentRun.id).where(AgentRun.pipeline_id == name)).all())


def _bytes_of_a_worktree(source: Path) -> int:
    where = source.with_name("worktree")
    git = ["git", "-C", str(source), "worktree"]
    subprocess.run([*git, "add", "-q", "--detach", str(where), "main"], check=True)
    found = _bytes(where)
    subprocess.run([*git, "remove", "--force", str(where)], check=True)
    return found


def _bytes(place: Path) -> int:
    """What a directory takes of the disk; nothing where there is none."""
    done = subprocess.run(["du", "-s", "-B1", str(place)], capture_output=True, text=True, check=False)
    return int((done.stdout.split() or ["0"])[0])


def _agent() -> Mapping[str, object]:
    return {"backend": "command", "command": list(READY)}


def _document(source: Path, name: str, image: str, *, roles: int, phases: int) -> dict[str, object]:
    seats = [{"role": f"role{number}", "agent": "program"} for number in range(roles)]
    return {
        "version": 1,
        "name": name,
        "repo": str(source),
        "base": "main",
        "prompt": "Agree.",
        "config": {"concurrent_execution": True, "max_concurrent_agents": roles},
        "isolation": {"kind": "docker", "image": image},
        "agents": {"program": _agent()},
        "phases": [{"name": f"phase{number}", "roles": seats} for number in range(phases)],
    }
