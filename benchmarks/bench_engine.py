"""Measures the engine: `make bench-engine`. Every figure stands beside its yardstick of the same run.

The yardsticks are the same work with bare Celery (a chord and no rows, same broker, same worker flags) and
with plain subprocesses. Nothing here is asserted: machines differ, ratios less so.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import bare, before, engine_chain, engine_crowd, engine_starts
from benchmarks.figures import Figure, as_table, machine, write_json
from benchmarks.stack import Stack, running
from benchmarks.usage import WATCH_SECONDS
from egg_tasks.config import SPARE_THREADS

CHAIN, STARTS, CROWD = 50, 200, 200


def run(stack: Stack, parts: Sequence[str], given: argparse.Namespace) -> list[Figure]:
    """Measure these parts, and say on stderr which is under way."""
    figures: list[Figure] = []
    with bare.worker(given.crowd + SPARE_THREADS) as pid:
        known: dict[str, Callable[[], list[Figure]]] = {
            "chain": lambda: engine_chain.measure(stack, given.chain),
            "starts": lambda: engine_starts.measure(stack, given.starts),
            "crowd": lambda: engine_crowd.measure(stack, given.crowd, pid, seconds=given.seconds),
        }
        bare.warm_up()
        for name in parts or known:
            print(f"measuring {name}", file=sys.stderr)
            figures += known[name]()
    return figures


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="make bench-engine", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there, too")
    parser.add_argument(
        "--chain", type=int, default=CHAIN, help="phases one after the other (50; at most 1000)"
    )
    parser.add_argument("--starts", type=int, default=STARTS, help="agents sent at once (200; at most 256)")
    parser.add_argument("--crowd", type=int, default=CROWD, help="agents at once (200; at most 200)")
    parser.add_argument("--short", action="store_true", help="as little of each as shows that it works")
    parser.add_argument("part", nargs="*", help="chain, starts, crowd; all without")
    parser.add_argument("--before", metavar="COMMIT", help="measure its code first, and show that beside")
    parser.set_defaults(seconds=WATCH_SECONDS)
    given = parser.parse_args()
    if given.short:
        given.chain, given.starts, given.crowd, given.seconds = 2, 5, 3, 0.3
    sizes = {"--chain": given.chain, "--starts": given.starts, "--crowd": given.crowd}
    arguments = [str(word) for size in sizes.items() for word in size] + given.part
    then = before.figures(given.before, "bench_engine", arguments) if given.before else []
    described = machine()
    with running() as stack:
        figures = before.beside(run(stack, given.part, given), then, given.before)
    print("  ".join(f"{name} {value}" for name, value in described.items()))
    print(as_table(figures))
    if given.json:
        write_json(given.json, described, figures)


if __name__ == "__main__":
    main()
