"""Proves the bus: `make prove-bus`. Exits with 1 at the first violation.

50 writers and 20 readers talk, first all on one pipeline, then spread over 20, while the API, PostgreSQL's
postmaster and Valkey are killed with -9 and started again by the stack's supervisor. 30 writers write over
HTTP, a message a request. 20 write in the service layer, up to 40 messages a transaction (the last with
`bus.send`, the others deferred as announcements are), and abort one transaction in ten; 19 messages in 20
are theirs, since two processors do not serve 200,000 requests and 20 readers in ten minutes. All reading is
over HTTP. The agents have no processes: see `agents.py`.
"""

import argparse
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from typing import Any, TypeVar

import structlog

from benchmarks.casting import Cast, cast
from benchmarks.door import Door, Refused
from benchmarks.kills import killing
from benchmarks.proof_checks import check
from benchmarks.readers import END, Read, Violation, read_to_the_end
from benchmarks.service_writers import write_in_services
from benchmarks.stack import Stack, running
from benchmarks.writers import Written, write_over_http

T = TypeVar("T")

PIPELINES = 20
PROCESSES = 6
SHORT = ("--messages", "3000", "--kill-after", "0.5", "--kills", "3")


def prove(stack: Stack, *, pipelines: int, messages: int, kill_after: float, kills: int) -> None:
    """Have everybody write and read on so many pipelines, check what came of it and print the counts."""
    players = cast(pipelines, messages)
    url, began = stack.manifest.api_url, time.monotonic()
    with killing(stack, after=kill_after, most=kills) as killed, _pool() as pool:
        try:
            reads = [pool.submit(read_to_the_end, url, part) for part in _parts(players.readers, 2)]
            over_http = [pool.submit(write_over_http, url, part) for part in _parts(players.over_http, 2)]
            in_services = [pool.submit(write_in_services, part) for part in _parts(players.in_services, 2)]
            wrote = _results([*over_http, *in_services], reads)
            seconds = time.monotonic() - began
            _mark_the_end(stack, players)
            read = _results(reads, [])
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    stack.await_health()
    total = check(stack.manifest.database_url, wrote, read)
    _print(pipelines=pipelines, total=total, seconds=seconds, kills=killed, wrote=wrote, read=read)


def _pool() -> ProcessPoolExecutor:
    """Processes that start clean and are silent about what the proof does to them."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(PROCESSES, mp_context=spawn, initializer=_be_silent)


def _be_silent() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)


def _parts(players: Sequence[T], count: int) -> list[Sequence[T]]:
    return [players[start::count] for start in range(count)]


def _results(awaited: list[Future[list[T]]], others: Sequence[Future[list[Read]]]) -> list[T]:
    """The results of *awaited*; the first error of anybody is raised at once."""
    pending: set[Future[Any]] = {*awaited, *others}
    while not all(future.done() for future in awaited):
        done, pending = wait(pending, return_when=FIRST_EXCEPTION, timeout=1)
        for future in done:
            future.result()
    return [each for future in awaited for each in future.result()]


def _mark_the_end(stack: Stack, players: Cast) -> None:
    door = Door(stack.manifest.api_url, stack.manifest.operator_token)
    for pipeline_id in sorted({writer.seat.pipeline_id for writer in players.over_http}):
        door.send(pipeline_id, {"message_type": "DIRECTIVE", "subject": END, "client_key": END})


def _print(
    *,
    pipelines: int,
    total: int,
    seconds: float,
    kills: Counter[str],
    wrote: Sequence[Written],
    read: Sequence[Read],
) -> None:
    retries = sum((each.retries for each in wrote), Counter[str]())
    retries = sum((each.retries for each in read), retries)
    print(f"{pipelines} pipeline{'s' if pipelines > 1 else ''}: no violation")
    print(f"  messages   {total}, ids 1…n without a gap; {total / seconds:.0f} sends/s for {seconds:.0f} s")
    print(f"  deliveries {sum(len(each.ids) for each in read)} to {len(read)} readers in", end=" ")
    print(f"{sum(each.polls for each in read)} polls, each message once and in order")
    print(f"  aborted    {sum(each.aborts for each in wrote)} transactions, nothing of them is stored")
    print(f"  killed -9  {', '.join(f'{name} {count}' for name, count in kills.items())}")
    print(f"  retries    {', '.join(f'{why} {count}' for why, count in retries.most_common()) or 'none'}")


def main() -> int:
    """Prove it on one pipeline and on twenty."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000, help="in all; half of them on each form")
    parser.add_argument("--kill-after", type=float, default=10.0, metavar="SECONDS", help="of peace")
    parser.add_argument("--kills", type=int, default=1000, help="at most, on each form")
    parser.add_argument("--short", action="store_const", const=SHORT, help=" ".join(SHORT))
    given = parser.parse_args()
    if given.short:
        given = parser.parse_args(SHORT)
    try:
        with running() as stack:
            for pipelines in (1, PIPELINES):
                prove(
                    stack,
                    pipelines=pipelines,
                    messages=given.messages // 2,
                    kill_after=given.kill_after,
                    kills=given.kills,
                )
    except (Violation, Refused) as error:
        print(f"VIOLATION: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
