"""The yardstick of the engine: Celery alone, with the same broker, settings and worker flags, and no rows.

A phase is a chord of subprocesses whose callback sends the next one. Nothing of it survives a lost message.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from celery import Celery, chord, group
from redis import Redis

from egg_tasks.app import configuration
from egg_tasks.config import settings

QUEUE = "bare"
NOBODY = "bare.nobody"
TIMES = "bare-times"
LOOK_AGAIN_SECONDS = 0.02


def _configuration() -> dict[str, object]:
    return {**configuration(), "imports": (), "task_default_queue": QUEUE}


app = Celery("bare")
app.add_defaults(_configuration)


@app.task(name="bare.attend")  # type: ignore[untyped-decorator]
def attend(argv: Sequence[str]) -> None:
    """Run a program to its end, and note both."""
    began = time.time()
    subprocess.run(argv, check=False, stdin=subprocess.DEVNULL)
    store().rpush(TIMES, json.dumps([began, time.time()]))


@app.task(name="bare.phase")  # type: ignore[untyped-decorator]
def phase(argv: Sequence[str], agents: int, left: int) -> None:
    """Send the next phase, whose end calls this again."""
    if left:
        chord(group([attend.si(argv) for _ in range(agents)]))(phase.si(argv, agents, left - 1))
    else:
        store().rpush(TIMES, "end")


def store() -> Redis:
    """Where the tasks note their times: the broker itself."""
    return Redis.from_url(settings().redis_url)


def times(count: int, *, seconds: float) -> list[tuple[float, float]]:
    """Wait until so many notes are there; when each program began and ended."""
    deadline = time.monotonic() + seconds
    kept = store()
    while int(kept.llen(TIMES)) < count:
        assert time.monotonic() < deadline, "bare Celery did not come to its end"  # noqa: S101
        time.sleep(LOOK_AGAIN_SECONDS)
    notes = [json.loads(note) for note in kept.lrange(TIMES, 0, -1) if note != b"end"]
    kept.delete(TIMES)
    return [(began, ended) for began, ended in notes]


def warm_up() -> None:
    """Have the worker do everything once."""
    phase.apply_async((["true"], 1, 1))
    times(2, seconds=60)


@contextmanager
def worker(threads: int) -> Iterator[int]:
    """Run a worker with the flags of ours; its process id."""
    flags = ("--pool", "threads", "--concurrency", str(threads), "--without-gossip", "--without-mingle")
    names = ("-A", "benchmarks.bare", "worker", "-Q", QUEUE, "-n", "bare@local", "-l", "ERROR")
    command = (sys.executable, "-m", "celery", *names, *flags)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.terminate()
