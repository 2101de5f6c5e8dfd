"""What an agent's commands cost it: processor time, beside a Python that does nothing."""

import os
import resource
import subprocess
import sys

from benchmarks.agents import Seat
from benchmarks.figures import Figure, quantile
from benchmarks.stack import EGG, Stack

RUNS = 10
COMMANDS = {
    "egg message poll": ("message", "poll"),
    "egg message send": ("message", "send", "--to", "all", "--type", "PROGRESS", "--body", "news"),
    "egg signal heartbeat": ("signal", "heartbeat"),
    "egg signal readiness --state WORKING": ("signal", "readiness", "--state", "WORKING"),
}


def measure(stack: Stack, seat: Seat) -> list[Figure]:
    """Type each command several times as the agent of a seat."""
    environment = {
        "PATH": os.environ["PATH"],
        "EGG_ORCHESTRATOR_URL": stack.manifest.api_url,
        "EGG_SESSION_TOKEN": seat.token,
        "EGG_PIPELINE_ID": seat.pipeline_id,
        "EGG_AGENT_ROLE": seat.role,
    }
    nothing = _seconds((sys.executable, "-c", "pass"), environment)
    return [
        Figure(
            "processor time of a command, p50",
            name,
            _seconds((str(EGG), *words), environment),
            "s",
            "python -c pass",
            nothing,
        )
        for name, words in COMMANDS.items()
    ]


def _seconds(command: tuple[str, ...], environment: dict[str, str]) -> float:
    times = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return quantile(times, 0.5)
