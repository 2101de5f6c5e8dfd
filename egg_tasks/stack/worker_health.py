"""Finds workers that live but do not answer, with a program of Celery's, run beside us now and then."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence

from egg_tasks import interpreter
from egg_tasks.config import broker_url
from egg_tasks.settings_table import REDIS_URL
from egg_tasks.stack.processes import Child

PERIOD_SECONDS = 30.0
PATIENCE_SECONDS = 45.0
ANSWER_SECONDS = "5"
YOUNG_SECONDS = 60.0
MISSES = 3
NOBODY = "No nodes replied"


class Pings:
    """The rounds of pings, and how many in a row each worker has missed."""

    def __init__(self, environment: Mapping[str, str], *, period: float = PERIOD_SECONDS) -> None:
        # the broker alone is named: a ping needs none of our code
        broker = broker_url(environment, environment[REDIS_URL])
        self._environment = {**environment, "CELERY_BROKER_URL": broker}
        self._period = period
        self._round: subprocess.Popen[str] | None = None
        self._asked: dict[str, int] = {}
        self._misses: dict[int, int] = {}
        self._begun_at = time.monotonic()

    def hung(self, running: Sequence[tuple[Child, float]]) -> list[Child]:
        """Return the workers that have missed several rounds in a row; never waits."""
        if self._round is None:
            if time.monotonic() - self._begun_at >= self._period:
                self._begin(running)
            return []
        if self._round.poll() is None:
            if time.monotonic() - self._begun_at > PATIENCE_SECONDS:
                self._round.kill()
            return []
        self._count()
        return [child for child, _ in running if self._misses.get(child.pid, 0) >= MISSES]

    def stop(self) -> None:
        """End a round that is under way."""
        if self._round is not None:
            self._round.kill()
            self._round.communicate()

    def _begin(self, running: Sequence[tuple[Child, float]]) -> None:
        """Start a round among the workers that have had time to come up."""
        self._begun_at = time.monotonic()
        workers = [child for child, age in running if age > min(YOUNG_SECONDS, 2 * self._period)]
        self._asked = {child.program.celery_node: child.pid for child in workers if child.program.celery_node}
        self._misses = {pid: self._misses.get(pid, 0) for pid in self._asked.values()}
        if not self._asked:
            return
        question = ("inspect", "ping", "--json", "--timeout", ANSWER_SECONDS, "-d", ",".join(self._asked))
        self._round = subprocess.Popen(
            interpreter.command("celery", *question),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
            cwd="/",
            start_new_session=True,
            text=True,
        )

    def _count(self) -> None:
        """Add up a round that is over; one that could not ask (the broker is away) says nothing."""
        if self._round is None:
            return
        said, complaint = self._round.communicate()
        code, self._round = self._round.returncode, None
        if code != 0 and NOBODY not in complaint:
            return
        answered = _names(said)
        for node, pid in self._asked.items():
            self._misses[pid] = 0 if node in answered else self._misses.get(pid, 0) + 1


def _names(said: str) -> set[str]:
    """The workers in Celery's answer."""
    for line in said.splitlines():
        if line.startswith("{"):
            return set(json.loads(line))
    return set()
