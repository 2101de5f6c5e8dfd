"""Keeps programs running: starts them in order, waits until they are ready, restarts what dies, stops all."""

import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from egg_tasks import disk
from egg_tasks.clock import utcnow
from egg_tasks.stack import logs
from egg_tasks.stack.census import Process
from egg_tasks.stack.processes import Child, Program
from models.errors import EggError, NoRoom, Unavailable

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
SETTLED_SECONDS = 30.0
STARTS_BEFORE_GIVING_UP = 3
POLL_SECONDS = 0.05


class Kept:
    """One program and its present child, with the patience its deaths have earned it."""

    def __init__(self, program: Program, log_path: Path) -> None:
        self.program = program
        self.log_path = log_path
        self.deaths = 0
        self.started_at = 0.0
        self.since = ""
        self.not_before = 0.0
        self.child: Child | None = None

    def start(self) -> None:
        """Start it now."""
        self.child = Child(self.program, self.log_path)
        self.started_at = time.monotonic()
        self.since = utcnow().isoformat(timespec="seconds")

    def tend(self) -> None:
        """Notice its death, and start it again once its pause is over; long life pays its debts."""
        now = time.monotonic()
        if self.child is not None:
            code = self.child.exit_code()
            if code is None:
                return
            self.child = None
            self.deaths = 1 if now - self.started_at > SETTLED_SECONDS else self.deaths + 1
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self.deaths - 1))
            self.not_before = now + pause
            log.warning("stack.died", program=self.program.name, exit=code, again_in=pause)
        if now >= self.not_before:
            self.start()
            log.info("stack.started", program=self.program.name)

    def failure(self) -> Unavailable:
        """Return the sentence for one that does not come up, with the end of its log."""
        if short := disk.shortage(self.log_path.parent):
            return NoRoom(f"{self.program.name} does not start: {short}")
        said = logs.tail(self.log_path) or "it said nothing"
        return Unavailable(f"{self.program.name} does not start; its log {self.log_path} ends:\n{said}")


class Keeper:
    """The children of one process, and the directory of their logs."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._kept: list[Kept] = []
        self._lacks_room: str | None = None
        """Since when, if it does."""

    def start(
        self, programs: Iterable[Program], *, timeout: float, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        """Start programs and return when those that can tell are ready, or at once when *is_over*.

        `Unavailable`, with the end of the log, when one dies several times or is not ready in time.
        """
        new = [Kept(each, self._logs / f"{each.name}.log") for each in sorted(programs, key=_tier)]
        self._kept += new
        for kept in new:
            kept.start()
        waiting = [kept for kept in new if kept.program.is_ready is not None]
        deadline = time.monotonic() + timeout
        while waiting and not is_over():
            self.tend()
            for kept in waiting:
                if kept.deaths >= STARTS_BEFORE_GIVING_UP or time.monotonic() > deadline:
                    raise kept.failure()
            waiting = [kept for kept in waiting if not _is_ready(kept.program)]
            time.sleep(POLL_SECONDS)

    def tend(self) -> None:
        """Restart what has died and keep logs short; to be called several times a second."""
        logs.trim(self._logs)
        for kept in self._kept:
            try:
                kept.tend()
            except (OSError, EggError, subprocess.SubprocessError) as error:
                # a full disk or process table: not a reason for the rest to die
                kept.not_before = time.monotonic() + LONGEST_PAUSE_SECONDS
                log.exception("stack.unstartable", program=kept.program.name, error=str(error))
        self._tell_of_room()

    def _tell_of_room(self) -> None:
        """Say once why programs die when the disk is full, and once that it no longer is."""
        if not self._lacks_room and not any(kept.deaths and kept.child is None for kept in self._kept):
            return
        short = disk.shortage(self._logs.parent)
        if short and not self._lacks_room:
            log.warning("stack.no_room", error=short)
        elif self._lacks_room and not short:
            # What was to be logged meanwhile is lost as a rule.
            log.warning("stack.has_room", lacked_since=self._lacks_room)
            for kept in self._kept:
                # They died of it: nothing is wrong with them, and they need not wait.
                kept.deaths, kept.not_before = 0, 0.0
        self._lacks_room = (self._lacks_room or utcnow().isoformat(timespec="seconds")) if short else None

    def running(self) -> list[tuple[Child, float]]:
        """Return the living children, each with its age in seconds."""
        now = time.monotonic()
        return [(kept.child, now - kept.started_at) for kept in self._kept if kept.child]

    def census(self) -> tuple[Process, ...]:
        """Every program that is to run, in the order of their start, whether it does or not."""
        return tuple(
            Process(
                name=kept.program.name,
                pid=kept.child.pid if kept.child else None,
                since=kept.since,
                deaths=kept.deaths,
            )
            for kept in self._kept
        )

    def stop(self) -> None:
        """Stop everything, what started last first; what does not end in its time is killed."""
        children = [child for child, _ in self.running()]
        self._kept.clear()
        for tier in sorted({child.program.tier for child in children}, reverse=True):
            together = [child for child in children if child.program.tier == tier]
            for child in together:
                child.ask_to_stop()
            asked_at = time.monotonic()
            for child in together:
                child.await_end(asked_at + child.program.stop_seconds - time.monotonic())


def _tier(program: Program) -> int:
    return program.tier


def _is_ready(program: Program) -> bool:
    return program.is_ready is None or program.is_ready()
