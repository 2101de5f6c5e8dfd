"""Measures clones, containers and what they leave: `make bench-workspace`. It needs a container engine.

Every figure stands beside its yardstick of the same run: the same by hand, with git and docker alone. Nothing
here is asserted: machines differ, ratios less so.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import before, gateway, workspace_runs, workspace_starts
from benchmarks.figures import Figure, as_table, machine, write_json
from benchmarks.stack import Stack, running
from benchmarks.workspace_repositories import LONG, SMALL, WIDE, Size
from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from egg_tasks.runners.engine import SOCKET, at
from models.errors import EngineAway

ROUNDS, FEW_ROUNDS, RUNS, REQUESTS = 15, 5, 100, 300
SECONDS, FILES = 10, 3_000
SHORT_WIDE, SHORT_LONG = Size("wide", files=300, bytes_each=6_000), Size("long", commits=300)


def run(stack: Stack, place: Path, given: argparse.Namespace) -> list[Figure]:
    """Measure these parts, and say on stderr which is under way."""
    wide, long = (SHORT_WIDE, SHORT_LONG) if given.short else (WIDE, LONG)
    sizes = ((SMALL, given.rounds), (wide, given.few_rounds), (long, given.few_rounds))
    known: dict[str, Callable[[], list[Figure]]] = {
        "starts": lambda: workspace_starts.measure(place, given.engine, given.image, sizes),
        "again": lambda: workspace_runs.second_run(
            stack, place, given.image, seconds=given.seconds, files=given.files
        ),
        "gateway": lambda: _gateway(stack, given.requests),
        "disk": lambda: workspace_runs.disk(stack, place, given.image, runs=given.runs, size=wide),
    }
    figures: list[Figure] = []
    for name in given.part or known:
        print(f"measuring {name}", file=sys.stderr)
        figures += known[name]()
    return figures


def _gateway(stack: Stack, requests: int) -> list[Figure]:
    socket = gateway_of(stack.home) / GATEWAY_SOCKET
    found = gateway.measured(stack.manifest.api_port, socket, requests=requests)
    group = "a request by relay and gateway, p50"
    return [
        Figure(group, "through both", found.through, "ms", "straight to the API", found.straight),
        Figure(group, "added by them", found.added, "ms"),
    ]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="make bench-workspace", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there, too")
    engine = os.environ.get("EGG_DOCKER_HOST") or SOCKET
    parser.add_argument("--engine", default=engine, metavar="URL", help=f"the container engine ({engine})")
    parser.add_argument("--image", default="egg-agent:latest", help="of the containers (egg-agent:latest)")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"starts on the small repository ({ROUNDS})"
    )
    parser.add_argument(
        "--few-rounds", type=int, default=FEW_ROUNDS, help=f"starts on each of the others ({FEW_ROUNDS})"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs whose disk is looked at ({RUNS})")
    parser.add_argument("--short", action="store_true", help="as little of each as shows that it works")
    parser.add_argument("part", nargs="*", help="starts, again, gateway, disk; all without")
    parser.add_argument("--before", metavar="COMMIT", help="measure its code first, and show that beside")
    parser.set_defaults(seconds=SECONDS, files=FILES, requests=REQUESTS)
    given = parser.parse_args()
    if given.short:
        given.rounds, given.few_rounds, given.runs, given.requests = 2, 1, 4, 20
        given.seconds, given.files = 1, 50
    try:
        at(given.engine).need()
    except EngineAway as error:
        sys.exit(f"error: {error.message}")
    sizes = {"--rounds": given.rounds, "--few-rounds": given.few_rounds, "--runs": given.runs}
    of_engine = ["--engine", given.engine, "--image", given.image]
    arguments = [*(str(word) for size in sizes.items() for word in size), *of_engine, *given.part]
    then = before.figures(given.before, "bench_workspace", arguments) if given.before else []
    described = machine()
    place = Path(tempfile.mkdtemp(prefix="egg-bench-", dir="/tmp"))
    place.chmod(0o711)
    try:
        with running(more={"EGG_DOCKER_HOST": given.engine}) as stack:
            figures = before.beside(run(stack, place, given), then, given.before)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print("  ".join(f"{name} {value}" for name, value in described.items()))
    print(as_table(figures))
    if given.json:
        write_json(given.json, described, figures)


if __name__ == "__main__":
    main()
