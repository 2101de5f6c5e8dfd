"""The set-up of a run: what makes its clone ready before its agent, or its check, starts there.

To a runner it is a run of its own, under an id that follows from the run's: started once, logged, and found
again by whoever attends the run next. It has no row, no role, no token and no secret.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from egg_tasks.attending.leases import Lease, LeaseLostError, Leases
from egg_tasks.ports import Runner, Workspace
from models.consensus import endings
from models.errors import Rejected, Unavailable
from models.schemas.run import Exit, Launch
from models.schemas.set_up import CloneSetUp

log = structlog.get_logger()

SLICE = timedelta(seconds=1)
KILL_AFTER = timedelta(seconds=10)
STOPPED = Exit(stopped=True, signal=15)


class DrainedError(Exception):
    """This worker is to go; the set-up goes on, and another waits for it."""


@dataclass(frozen=True)
class Ground:
    """What a clone is made ready from."""

    pipeline_id: str
    source: str
    """The repository that its pipeline came from."""
    isolation: str
    """Where set-ups run, in words that differ where what they make does."""
    literals: Mapping[str, str]
    """What the definition has set-ups find in their environment."""


@dataclass(frozen=True)
class SetUp:
    """The set-up of one run. Each part may be repeated, by another worker as well."""

    launch: Launch
    preparation: CloneSetUp
    ground: Ground
    runner: Runner
    workspace: Workspace
    lease: Lease
    leases: Leases
    draining: threading.Event

    def make(self) -> Exit | None:
        """Make the clone ready: None when it is, else how its run has ended without being started.

        Raises `DrainedError` and `LeaseLostError`, after which another goes on.
        """
        try:
            self._begin()
        except Rejected as error:
            return self._failed(error.message)
        ended = self._wait()
        if self.lease.is_to_end or ended.vanished:
            # To be ended is no fault of the set-up's, nor is a machine that went down: the run is lost.
            return STOPPED if self.lease.is_to_end else Exit()
        if why := self._why(ended):
            return self._failed(why)
        self._keep_cache()
        return None

    def _begin(self) -> None:
        if self.runner.has_started(self.launch.run_id):
            return
        directory = self.launch.directory
        self.workspace.include(self.ground.source, directory=directory, paths=self.preparation.include)
        if self.preparation.cache:
            self.workspace.bring_cache(
                self._key(),
                run_id=self.launch.run_id,
                directory=directory,
                paths=self.preparation.cache.paths,
            )
        self.runner.ensure(self.launch)

    def _wait(self) -> Exit:
        """Wait until it has ended; it is stopped when its run or its own time is over."""
        run_id, slices, until_killed = self.launch.run_id, 0, KILL_AFTER // SLICE
        while (ended := self.runner.wait(run_id, timeout=SLICE)) is None:
            if self.draining.is_set():
                raise DrainedError
            if self.lease.is_lost:
                raise LeaseLostError
            self.leases.keep()
            self.lease.active_at = self.runner.last_active_at(run_id)
            slices += 1
            if not (self.lease.is_to_end or slices * SLICE >= self._limit):
                continue
            if until_killed == KILL_AFTER // SLICE:
                self.runner.stop(run_id)
            elif not until_killed:
                self.runner.kill(run_id)
            until_killed = max(0, until_killed - 1)
        return ended

    @property
    def _limit(self) -> timedelta:
        return timedelta(minutes=self.preparation.timeout_minutes)

    def _why(self, ended: Exit) -> str:
        """Why it has failed; empty where it has not."""
        if ended.error is not None:
            return ended.error
        if ended.stopped:
            return f"it took longer than {self.preparation.timeout_minutes:g} min and was stopped"
        if ended.exit_code == 0:
            return ""
        return endings.how(
            failure=None, exit_code=ended.exit_code, signal=ended.signal, error="", is_named=False
        )

    def _failed(self, why: str) -> Exit:
        return Exit(error=f"its set-up `{self.preparation.said}` failed: {why}", is_set_up=True)

    def _key(self) -> str:
        cache = self.preparation.cache
        assert cache is not None, "asked only where there is one"  # noqa: S101
        # Each list is one word, so that none can be taken for a part of its neighbour.
        lists = (self.preparation.setup, sorted(cache.paths), sorted(self.ground.literals.items()))
        said = (self.ground.source, self.ground.isolation, *map(json.dumps, lists))
        return self.workspace.cache_key(said, directory=self.launch.directory, files=cache.key)

    def _keep_cache(self) -> None:
        """Keep what it has made for later ones; what cannot be kept is made again by them."""
        if self.preparation.cache is None:
            return
        try:
            self.workspace.keep_cache(
                self._key(), directory=self.launch.directory, paths=self.preparation.cache.paths
            )
        except (Rejected, Unavailable) as error:
            log.warning("cache.not_kept", setup=str(self.launch.run_id), error=error.message)
