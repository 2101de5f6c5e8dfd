"""The set-up of a run: what makes its clone ready before its agent, or its check, starts there.

To a runner it is a run of its own, under an id that follows from the run's: started once, logged, and found
again by whoever attends the run next. It has no row, no role and no secret, and a token for hosts at most.
"""

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta

import structlog

from egg_tasks.attending import set_up_caches
from egg_tasks.attending.disk_limits import DiskLimits
from egg_tasks.attending.leases import Lease, LeaseLostError, Leases
from egg_tasks.attending.set_up_caches import Ground
from egg_tasks.ports import Runner, Workspace
from egg_tasks.services.agents.agent_runs import KILLED_FROM_OUTSIDE
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
    limits: DiskLimits | None = None

    def make(self) -> Exit | None:
        """Make the clone ready: None when it is, else how its run has ended without being started.

        Raises `DrainedError` and `LeaseLostError`, after which another goes on.
        """
        try:
            self._begin()
        except Rejected as error:
            return self._failed(error.message)
        run_id = self.launch.run_id
        limiting = self.limits.hold(run_id, self.runner, is_set_up=True) if self.limits else nullcontext()
        with limiting as held:
            ended, is_late = self._wait()
        if self.lease.is_to_end or (held is not None and held.is_outgrown):
            return STOPPED
        if not is_late and _was_taken_away(ended):
            # No fault of the set-up's: the run is lost, and its role runs anew.
            return Exit()
        if why := self._why(ended, is_late=is_late):
            return self._failed(why)
        self._keep_cache()
        return None

    def _begin(self) -> None:
        if self.runner.has_started(self.launch.run_id):
            return
        cache = self.preparation.cache
        self.workspace.make_ready(
            self.launch.run_id,
            source=self.ground.source,
            directory=self.ground.directory,
            inside=self.launch.directory,
            include=self.preparation.include,
            begins_from=set_up_caches.names(self.workspace, self.ground, self.preparation).begins_from,
            paths=cache.paths if cache else (),
        )
        self.runner.ensure(self.launch)

    def _wait(self) -> tuple[Exit, bool]:
        """Wait until it has ended, and say whether we have stopped it since its own time was over.

        It is stopped when its run's time is over, too.
        """
        run_id, slices, until_killed = self.launch.run_id, 0, KILL_AFTER // SLICE
        is_late = False
        while (ended := self.runner.wait(run_id, timeout=SLICE)) is None:
            if self.draining.is_set():
                raise DrainedError
            if self.lease.is_lost:
                raise LeaseLostError
            self.leases.keep()
            self.lease.active_at = self.runner.last_active_at(run_id)
            slices += 1
            is_late = slices * SLICE >= self._limit
            if not (self.lease.is_to_end or is_late):
                continue
            if until_killed == KILL_AFTER // SLICE:
                self.runner.stop(run_id)
            elif not until_killed:
                self.runner.kill(run_id)
            until_killed = max(0, until_killed - 1)
        return ended, is_late

    @property
    def _limit(self) -> timedelta:
        return timedelta(minutes=self.preparation.timeout_minutes)

    def _why(self, ended: Exit, *, is_late: bool) -> str:
        """Why it has failed; empty where it has not."""
        if ended.error is not None:
            return ended.error
        if ended.is_out_of_memory:
            return "it wanted more memory than it may take: say more as `isolation.memory`"
        if is_late and (ended.stopped or ended.vanished):
            return f"it took longer than {self.preparation.timeout_minutes:g} min and was stopped"
        if ended.exit_code == 0:
            return ""
        return endings.how(
            failure=None, exit_code=ended.exit_code, signal=ended.signal, error="", is_named=False
        )

    def _failed(self, why: str) -> Exit:
        return Exit(error=f"its set-up `{self.preparation.said}` failed: {why}", is_set_up=True)

    def _keep_cache(self) -> None:
        """Keep what it has made for later ones; what cannot be kept is made again by them."""
        name = set_up_caches.names(self.workspace, self.ground, self.preparation).kept_as
        if self.preparation.cache is None or name is None:
            return
        try:
            self.workspace.keep_cache(
                name,
                run_id=self.launch.run_id,
                directory=self.ground.directory,
                inside=self.launch.directory,
                paths=self.preparation.cache.paths,
            )
        except (Rejected, Unavailable) as error:
            log.warning("cache.not_kept", setup=str(self.launch.run_id), error=error.message)


def _was_taken_away(ended: Exit) -> bool:
    """Whether a set-up ended by others' doing: `egg down --agents`, an engine or a machine that went down."""
    is_taken = ended.stopped or ended.vanished or ended.signal in KILLED_FROM_OUTSIDE
    return is_taken and not ended.is_out_of_memory
