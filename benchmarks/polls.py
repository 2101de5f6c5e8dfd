"""Poll latency while the stored messages of one pipeline grow, beside the bare read of the index.

The messages are loaded straight into the table, one in ten to all, the others to twenty roles in turn. The
phase run is marked as evaluated up to the last of them, as it is once a role has signalled.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import psycopg

from benchmarks.agents import Seat
from benchmarks.door import Door
from benchmarks.figures import Figure, quantile
from egg_tasks.database import unit_of_work
from egg_tasks.services.bus.polls import PAGE_BYTES
from models.queries import messages

GROUP = "poll, p50"
SAMPLES = 200
PAGE = 100
READERS = 20
CHUNK = 1_000_000
LOAD = """
INSERT INTO egg.messages (pipeline_id, id, phase_run_id, phase, iteration, from_role, to_role, message_type,
                      subject, body, metadata, created_at)
SELECT %(pipeline)s, number, (SELECT id FROM egg.phase_runs WHERE pipeline_id = %(pipeline)s), 'talk', 1,
       'writer', CASE WHEN number %% 10 = 0 THEN 'all' ELSE 'reader' || number %% 20 END, 'PROGRESS',
       'news', repeat('x', 60), '{}', now()
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number
"""
BARE = "SELECT * FROM egg.messages WHERE pipeline_id = %s AND to_role = %s AND id > %s ORDER BY id LIMIT %s"


def measure(url: str, database_url: str, reader: Seat, sizes: Sequence[int]) -> list[Figure]:
    """Load up to each size in turn, and measure there."""
    figures: list[Figure] = []
    stored, smallest = 0, dict[str, float]()
    with psycopg.connect(database_url, autocommit=True) as connection:
        for size in sizes:
            _load(connection, reader.pipeline_id, stored + 1, size)
            stored = size
            anywhere, at_the_tip = partial(random.randrange, size), partial(int, size)
            for what, since in (("a page of 100", anywhere), ("nothing new", at_the_tip)):
                bare = _bare(connection, reader, since)
                query = _query(reader, since)
                poll = _http(url, reader, since)
                named = f"{what}, {size:,} stored"
                first = smallest.setdefault(what, poll)
                figures += [
                    Figure(GROUP, f"bare index read: {named}", bare, "ms"),
                    Figure(GROUP, f"list_messages: {named}", query, "ms", "bare index read", bare),
                    Figure(GROUP, f"over HTTP: {named}", poll, "ms", "bare index read", bare),
                    Figure(GROUP, f"over HTTP: {named}", poll, "ms", f"at {sizes[0]:,}", first),
                ]
    return figures


def _load(connection: psycopg.Connection, pipeline_id: str, first: int, last: int) -> None:
    # Each row's foreign keys are not looked up: that would be most of the time.
    connection.execute("SET session_replication_role = replica")
    for start in range(first, last + 1, CHUNK):
        given = {"pipeline": pipeline_id, "first": start, "last": min(last, start + CHUNK - 1)}
        connection.execute(LOAD, given)
    for query in (
        "UPDATE egg.message_streams SET last_message_id = %s WHERE pipeline_id = %s",
        "UPDATE egg.phase_runs SET evaluated_message = %s WHERE pipeline_id = %s",
    ):
        connection.execute(query, [last, pipeline_id])
    connection.execute("VACUUM ANALYZE egg.messages")


def _p50(read: Callable[[], object]) -> float:
    for _ in range(SAMPLES // 10):
        read()
    times = []
    for _ in range(SAMPLES):
        began = time.perf_counter()
        read()
        times.append((time.perf_counter() - began) * 1000)
    return quantile(times, 0.5)


def _bare(connection: psycopg.Connection, reader: Seat, since: Callable[[], int]) -> float:
    return _p50(
        lambda: connection.execute(
            BARE, [reader.pipeline_id, reader.role, since(), PAGE], prepare=True
        ).fetchall()
    )


def _query(reader: Seat, since: Callable[[], int]) -> float:
    def read() -> None:
        with unit_of_work() as session:
            messages.list_messages(
                session,
                pipeline_id=reader.pipeline_id,
                role=reader.role,
                after=since(),
                limit=PAGE,
                most_bytes=PAGE_BYTES,
            )

    return _p50(read)


def _http(url: str, reader: Seat, since: Callable[[], int]) -> float:
    door = Door(url, reader.token)
    return _p50(lambda: door.poll(reader.pipeline_id, since_id=since(), limit=PAGE))
