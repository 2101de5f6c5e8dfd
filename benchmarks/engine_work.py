"""Work for the engine: a small repository, and pipelines of the cheapest agents on it."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.stack import Stack
from egg_tasks.client import Client

AGENT = (sys.executable, "-I", "-S", str(Path(__file__).with_name("engine_agent.py")))
ENDED = {"complete", "failed", "cancelled"}
LOOK_AGAIN_SECONDS = 0.1


def repository(home: Path) -> Path:
    """Make a repository of one commit in a stack's home."""
    where = home / "bench-repository"
    if where.exists():
        return where
    person = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    subprocess.run(["git", "init", "-q", "-b", "main", str(where)], check=True)
    (where / "README.md").write_text("A small repository.\n")
    for words in (("add", "."), (*person, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(where), *words], check=True)
    return where


def document(stack: Stack, name: str, argv: Sequence[str], *, roles: int, phases: int) -> dict[str, object]:
    """A definition of so many phases of so many roles, all at once, each played by one program."""
    seats = [{"role": f"role{number}", "agent": "program"} for number in range(roles)]
    return {
        "version": 1,
        "name": name,
        "repo": str(repository(stack.home)),
        "prompt": "Agree.",
        "config": {"concurrent_execution": True, "max_concurrent_agents": 1000},
        "agents": {"program": {"backend": "command", "command": list(argv)}},
        "phases": [{"name": f"phase{number}", "roles": seats} for number in range(phases)],
    }


def client(stack: Stack) -> Client:
    """The operator."""
    return Client(stack.manifest.api_url, stack.manifest.operator_token, patience=30)


def submit(stack: Stack, definition: dict[str, object]) -> str:
    """Create and start a pipeline; its name."""
    asks = client(stack)
    name = str(asks.post("/pipelines", definition)["pipeline"]["id"])
    asks.post(f"/pipelines/{name}/start", repeatable=True)
    return name


def await_end(stack: Stack, name: str, *, seconds: float) -> str:
    """Wait for the end of a pipeline; its last status."""
    asks = client(stack)

    def status() -> str:
        return str(asks.get(f"/pipelines/{name}")["pipeline"]["status"])

    wait(lambda: status() in ENDED, seconds=seconds, why=f"the end of {name}")
    return status()


def wait(holds: Callable[[], bool], *, seconds: float, why: str) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never came: {why}"  # noqa: S101
        time.sleep(LOOK_AGAIN_SECONDS)
