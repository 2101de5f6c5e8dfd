"""Chaos: pipelines of agents that come to agree while every process of the stack is killed at random.

    make chaos

Prints what was killed and mended; exit code 1 if anything ended otherwise than without faults.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from sqlalchemy import func, select

from benchmarks import chaos_proof
from benchmarks.chaos_kills import AIMS, KINDS, Killer
from benchmarks.stack import Stack, running
from egg_tasks.client import Client
from egg_tasks.database import unit_of_work
from models.errors import Unavailable
from models.tables import AgentRun, Message, Pipeline

AGENT = Path(__file__).with_name("chaos_agent.py")
# Who is killed often enough is else asked about.
RETRIED = {"on_failure": "retry"}
ROLES: tuple[dict[str, object], ...] = (
    {"role": "coder", **RETRIED},
    {"role": "tester", "reviews": ["coder"], **RETRIED},
    {"role": "documenter", "reviews": ["coder"], **RETRIED},
    {"role": "integrator", **RETRIED},
)
PIPELINES, SHORT = 20, 3
LONGEST_SECONDS = 1800.0
QUIET_SECONDS = 60.0


def main() -> int:
    """Run the chaos as the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--pipelines", type=int, default=PIPELINES)
    parser.add_argument("--phases", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311 - no secret
    parser.add_argument("--short", action="store_true", help="one kill of each kind, few pipelines")
    given = parser.parse_args()
    pipelines, phases = (SHORT, 1) if given.short else (given.pipelines, given.phases)
    most = len(KINDS) if given.short else sys.maxsize
    print(f"{pipelines} pipelines of {phases} phases, 4 agents each; seed {given.seed}", flush=True)
    with running() as stack, tempfile.TemporaryDirectory(prefix="egg-chaos-") as directory:
        board = Path(directory)
        killer = Killer(stack.home, random.Random(given.seed))  # noqa: S311 - no secret
        begun = time.monotonic()
        submit(stack, board, pipelines=pipelines, phases=phases)
        rage(killer, most=most)
        found = killer.violations + settle(killer, board)
        report(killer, seconds=time.monotonic() - begun)
        return conclude(stack.home, board, found)


def submit(stack: Stack, board: Path, *, pipelines: int, phases: int) -> None:
    """Start all pipelines on a small repository of their own."""
    repository = board / "repository"
    person = ("-c", "user.name=chaos", "-c", "user.email=chaos@localhost")
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    repository.joinpath("README.md").write_text("chaos\n")
    for arguments in (["add", "."], [*person, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(repository), *arguments], check=True)
    for name in ("starts", "sent"):
        board.joinpath(name).touch()
    # It speaks through our client: the python3 on the agents' PATH is the user's.
    command = [sys.executable, str(AGENT)]
    player = {"backend": "command", "command": command, "environment": {"CHAOS": str(board)}}
    config = {
        "concurrent_execution": True,
        "max_rounds": 500,
        "objection_grace_seconds": 2,
        "verdict_grace_seconds": 10,
    }
    client = Client(stack.manifest.api_url, stack.manifest.operator_token)
    for number in range(1, pipelines + 1):
        definition = {
            "version": 1,
            "name": f"chaos-{number}",
            "repo": str(repository),
            "prompt": "Agree.",
            "config": config,
            "agents": {str(role["role"]): player for role in ROLES},
            "phases": [{"name": f"phase-{at}", "roles": ROLES} for at in range(1, phases + 1)],
        }
        client.post("/pipelines", definition)
        client.post(f"/pipelines/chaos-{number}/start", repeatable=True)


def rage(killer: Killer, *, most: int) -> None:
    """Kill one kind after the other, in an order of dice, while any pipeline runs."""
    kinds: list[str] = []
    until = time.monotonic() + LONGEST_SECONDS
    while is_any_running():
        if time.monotonic() > until:
            killer.violations.append("the pipelines did not end in time")
            return
        time.sleep(killer.dice.uniform(0.3, 2.5))
        kinds = kinds or killer.dice.sample(KINDS, len(KINDS))
        if killer.killed.total() < most:
            killer.kill(kinds.pop())


def is_any_running() -> bool:
    """Whether a pipeline has not ended; one that cannot be asked about has not."""
    try:
        with unit_of_work() as session:
            query = select(func.count()).where(Pipeline.ended_at.is_(None))
            return bool(session.scalars(query).one())
    except Unavailable:
        return True


def settle(killer: Killer, board: Path) -> list[str]:
    """Have everything up and at rest, and look for what should not be."""
    killer.up()
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        try:
            if chaos_proof.is_quiet(killer.home):
                break
        except Unavailable:
            continue
        time.sleep(0.5)
    return chaos_proof.violations(killer.home, board)


def report(killer: Killer, *, seconds: float) -> None:
    """Print what was done and what it came to."""
    with unit_of_work() as session:
        by_status = select(AgentRun.status, func.count()).group_by(AgentRun.status)
        runs = {str(status): number for status, number in session.execute(by_status)}
        messages = session.scalars(select(func.count()).select_from(Message)).one()
    print(f"took {seconds:.0f} s; {messages} messages; agent runs: {_listed(runs)}")
    print(f"killed {killer.killed.total()} times: {_listed(killer.killed)}")
    print(f"repaired: {_listed(repairs(killer.home / 'logs')) or 'nothing'}")
    for kind, aim in AIMS.items():
        times = sorted(killer.reattached.get(kind, ()))
        if times:
            kept = "kept" if times[-1] <= aim else "missed"
            print(
                f"{kind} killed → all agents re-attached: {len(times)} times, median {median(times):.1f} s,"
                f" longest {times[-1]:.1f} s (aim {aim:g} s: {kept})"
            )


def repairs(logs: Path) -> Counter[str]:
    """What the reconciler says that it mended, and what workers found left by dead ones."""
    mended: Counter[str] = Counter()
    for kind, number in _said(logs / "reconciler.log", r"reconcile\.repaired.* kind=(\w+).* found=(\d+)"):
        mended[kind] += int(number)
    for _, number in _said(logs / "worker-agents.log", r"(leases\.freed).* runs=(\d+)"):
        mended["leases freed"] += int(number)
    return mended


def conclude(home: Path, board: Path, found: list[str]) -> int:
    """Print the violations, and keep what explains them; the exit code."""
    if not found:
        print("no violation")
        return 0
    kept = Path(tempfile.mkdtemp(prefix="egg-chaos-kept-"))
    shutil.copytree(home / "logs", kept / "logs")
    shutil.copytree(board, kept / "board", ignore=shutil.ignore_patterns("repository"))
    for line in found:
        print(f"VIOLATION: {line}")
    print(f"{len(found)} violations; logs in {kept}")
    return 1


def _said(log: Path, pattern: str) -> Iterator[tuple[str, str]]:
    for path in log.parent.glob(f"{log.name}*"):
        yield from re.findall(pattern, path.read_text(errors="replace"))


def _listed(counted: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()))


if __name__ == "__main__":
    sys.exit(main())
