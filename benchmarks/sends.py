"""Sends a second, by one writer and by eight: over HTTP, in the service layer, and what they stand beside."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import redis

from benchmarks.agents import Seat
from benchmarks.buses import BODY
from benchmarks.door import Door
from benchmarks.figures import Figure
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.bus import messages
from egg_tasks.services.bus.messages import Draft
from models.queries import pipelines
from models.schemas.message import MessageType

Send = Callable[[], object]
SECONDS = 4.0
WRITERS = (1, 8)
INSERT = """
INSERT INTO egg.messages (pipeline_id, id, phase, iteration, from_role, to_role, message_type, subject, body,
                      metadata, created_at)
VALUES (%s, %s, 'talk', 1, 'writer', 'all', 'PROGRESS', 'news', %s, '{}', now())
"""


def measure(
    url: str, memory_url: str, database_url: str, redis_url: str, seats: Sequence[Seat]
) -> list[Figure]:
    """Measure each way of sending; *seats* are those of the writers, of one pipeline."""
    figures = []
    for count in WRITERS:
        writers = seats[:count]
        raw = _rate([_raw(database_url, seat, at) for at, seat in enumerate(writers)])
        service = _rate([_service(seat) for seat in writers])
        ours = _rate([_http(url, seat) for seat in writers])
        memory = _rate([_http(memory_url, seat) for seat in writers])
        streams = _rate([_redis(redis_url, seat) for seat in writers])
        named = f"{count} writer{'s' if count > 1 else ''}"
        figures += [
            Figure("sends per second", f"raw INSERT by psycopg, {named}", raw, "/s"),
            Figure("sends per second", f"in the service layer, {named}", service, "/s", "raw INSERT", raw),
            Figure("sends per second", f"through the API, {named}", ours, "/s", "raw INSERT", raw),
            Figure(
                "sends per second", f"through the API, {named}", ours, "/s", "list in memory, HTTP", memory
            ),
            Figure("sends per second", f"through the API, {named}", ours, "/s", "Redis XADD", streams),
        ]
    return figures


def _rate(sends: Sequence[Send]) -> float:
    """How many sends a second a thread for each of *sends* makes together."""
    for send in sends:
        send()
    with ThreadPoolExecutor(len(sends)) as pool:
        began = time.perf_counter()
        made = sum(pool.map(_repeat, sends))
        return made / (time.perf_counter() - began)


def _repeat(send: Send) -> int:
    deadline, made = time.perf_counter() + SECONDS, 0
    while time.perf_counter() < deadline:
        send()
        made += 1
    return made


def _raw(database_url: str, seat: Seat, place: int) -> Send:
    """A row and a commit, with ids nobody competes for, in a pipeline that has no agents."""
    connection = psycopg.connect(database_url, autocommit=True)
    query = "SELECT coalesce(max(id), 0) FROM egg.messages WHERE pipeline_id = 'raw'"
    first = int((connection.execute(query).fetchone() or (0,))[0]) + 1 + place * 10_000_000
    numbers = iter(range(first, first + 10_000_000))
    del seat
    return lambda: connection.execute(INSERT, ["raw", next(numbers), BODY])


def _service(seat: Seat) -> Send:
    draft = Draft(MessageType.PROGRESS, subject="news", body=BODY)

    def send() -> None:
        with unit_of_work() as session:
            pipeline = pipelines.get_pipeline(session, pipeline_id=seat.pipeline_id)
            messages.send(session, pipeline=pipeline, sender=seat.role, draft=draft, now=utcnow())

    return send


def _http(url: str, seat: Seat) -> Send:
    door = Door(url, seat.token)
    body = {"message_type": "PROGRESS", "to_role": "all", "subject": "news", "body": BODY}
    return lambda: door.send(seat.pipeline_id, body)


def _redis(redis_url: str, seat: Seat) -> Send:
    client = redis.Redis.from_url(redis_url)
    return lambda: client.xadd(f"sends:{seat.pipeline_id}", {"subject": "news", "body": BODY})
