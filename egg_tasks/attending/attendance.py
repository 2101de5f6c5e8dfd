"""Attending an agent run: claim, ensure, wait, finish. Each part may be repeated by another worker."""

import threading
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_any,
    stop_when_event_set,
    wait_fixed,
)

from egg_tasks import disk
from egg_tasks.attending import engine_away, launching
from egg_tasks.attending.disk_limits import DiskLimits
from egg_tasks.attending.ending import Ending
from egg_tasks.attending.leases import Lease, LeaseLostError, Leases
from egg_tasks.attending.set_up import DrainedError, SetUp
from egg_tasks.attending.snapshots import Snapshots
from egg_tasks.clock import utcnow
from egg_tasks.config import Settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.ports import Backend, Runner, Workspace
from egg_tasks.run_places import set_up_of
from egg_tasks.services.agents import agent_runs, clone_inspection, tries
from egg_tasks.services.agents.agent_runs import Answer
from egg_tasks.use_cases.faults import is_nobodys, shortened
from models.errors import DatabaseAway, EggError, Halted, NotSet, Unavailable
from models.queries import agent_runs as rows
from models.schemas.run import Exit, Launch
from models.states import LIVE_RUNS, RunStatus
from models.tables import AgentRun

log = structlog.get_logger()

SLICE = timedelta(seconds=1)
KILL_AFTER = timedelta(seconds=10)
"""How long an agent that was asked to end may take."""
FORGIVEN_WITHIN = 30
"""Seconds for which a database that is away is waited for, so that a try does not count."""


class Left(StrEnum):
    """How an attendance ended."""

    FINISHED = "finished"
    PARKED = "parked"
    HELD = "held"
    ELSEWHERE = "elsewhere"
    DRAINED = "drained"
    UNFINISHED = "unfinished"


class Attendance:
    """One worker thread's watch over one agent run. It holds no database connection while it waits."""

    def __init__(
        self,
        run_id: UUID,
        *,
        owner: str,
        settings: Settings,
        runner: Runner,
        backend: Backend,
        workspace: Workspace,
        draining: threading.Event,
        leases: Leases,
        snapshots: Snapshots | None = None,
        patience: timedelta = engine_away.PATIENCE,
        limits: DiskLimits | None = None,
    ) -> None:
        self.run_id = run_id
        self.owner = owner
        self.settings = settings
        self.runner = runner
        self.backend = backend
        self.workspace = workspace
        self.draining = draining
        self.leases = leases
        self.snapshots = snapshots
        self.patience = patience
        self.limits = limits
        self.clone = workspace.clone_of(run_id)
        self.ending = Ending(run_id, runner=runner, backend=backend, workspace=workspace, clone=self.clone)

    def attend(self) -> Left:
        """Take the run through to its end, or leave it to whoever comes next."""
        claim = self._claim()
        if claim.answer is not Answer.CLAIMED:
            return Left.FINISHED if claim.answer is Answer.DONE else Left(claim.answer)
        with self.leases.hold(Lease(self.run_id, self.owner)) as lease:
            try:
                return self._take_through(claim.run, lease)
            except LeaseLostError:
                return Left.HELD
            except DrainedError:
                self._release()
                return Left.DRAINED
            except Halted:
                self._release()
                return Left.PARKED
            except Exception as error:  # noqa: BLE001 - whatever a run makes us meet, the run comes to its end
                return self._fail(error)

    def _take_through(self, run: AgentRun, lease: Lease) -> Left:
        is_tried = run.tries > tries.most(run)
        if is_tried and tries.is_hopeless(run, lives=self._lives()):
            self.ending.give_up(run, why=Unavailable("it ended the process that attended it"))
            return Left.FINISHED
        outcome = self._ensure(run, lease) or self._watched(run, lease)
        if outcome is None:
            return Left.DRAINED
        self.ending.finish(run, outcome)
        return Left.FINISHED

    def _lives(self) -> bool:
        """Whether its process lives, or that of its set-up."""
        return not {self.run_id, set_up_of(self.run_id)}.isdisjoint(self.runner.list_live())

    def _fail(self, error: Exception) -> Left:
        """Leave the run to be tried again a little later, or give it up when it was tried often enough."""
        if is_nobodys(error, home=self.settings.home):
            log.warning("attendance.waits", run=str(self.run_id), error=str(error))
            self._forgive(shortened(error))
            return Left.UNFINISHED
        self._log(error)
        try:
            with single_statements() as session:
                run = rows.get_agent_run(session, run_id=self.run_id)
            if tries.are_used_up(run):
                self.ending.give_up(run, why=error)
                return Left.FINISHED
        except Exception as worse:  # noqa: BLE001 - it is tried again, and only that is what this waits for
            self._log(worse)
        with suppress(DatabaseAway), unit_of_work() as session:
            tries.fail(session, run_id=self.run_id, owner=self.owner, now=utcnow())
        return Left.UNFINISHED

    def _log(self, error: Exception) -> None:
        if isinstance(error, EggError):
            log.warning("attendance.unfinished", run=str(self.run_id), error=error.message)
        else:
            log.error("attendance.unfinished", run=str(self.run_id), exc_info=error)

    def _forgive(self, why: str) -> None:
        """Have a try not count: as soon as the database is back, if that is what was away."""
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(DatabaseAway),
                wait=wait_fixed(1),
                stop=stop_any(stop_after_delay(FORGIVEN_WITHIN), stop_when_event_set(self.draining)),
                reraise=True,
            ):
                with attempt, unit_of_work() as session:
                    tries.forgive(session, run_id=self.run_id, owner=self.owner, why=why, now=utcnow())
        except DatabaseAway as error:
            log.warning("attendance.not_forgiven", run=str(self.run_id), error=error.message)

    def _claim(self) -> agent_runs.Claim:
        with unit_of_work() as session:
            return agent_runs.claim(
                session,
                run_id=self.run_id,
                owner=self.owner,
                node=self.settings.node,
                capacity=self.settings.node_capacity,
                now=utcnow(),
            )

    def _ensure(self, run: AgentRun, lease: Lease) -> Exit | None:
        """Start the run's process unless it was; how it ended already when it need or can not be started."""
        if not self.runner.has_started(self.run_id):
            if run.status not in LIVE_RUNS or _is_over(run, utcnow()):
                self.ending.end_set_up()
                return Exit(stopped=True, signal=15)
            try:
                disk.need(self.settings.home)
                if not engine_away.await_return(
                    self.runner, lease, draining=self.draining, patience=self.patience
                ):
                    return Exit(stopped=True, signal=15)
                if (ended := self._set_up(run, lease)) is not None:
                    return ended
                self.runner.ensure(self._launch(run))
            except (Halted, DrainedError, LeaseLostError):
                raise
            except Exception as error:
                if is_nobodys(error, home=self.settings.home):
                    raise
                self._log(error)
                if not self.runner.has_started(self.run_id):
                    return Exit(error=shortened(error), is_unset=isinstance(error, NotSet))
        with unit_of_work() as session:
            agent_runs.started(session, run_id=self.run_id, now=utcnow())
        return None

    def _set_up(self, run: AgentRun, lease: Lease) -> Exit | None:
        """Have its clone made ready, if its definition says how; how it ended where that has failed."""
        with single_statements() as session:
            preparation = launching.preparation(session, run=run)
        if preparation is None:
            return None
        opened, set_up = self._open(run), set_up_of(run.id)
        with unit_of_work() as session:
            launch, ground = launching.of_set_up(
                session,
                run=run,
                preparation=preparation,
                opened=opened,
                layout=self.runner.layout(set_up, directory=opened.directory),
                repository=self.workspace.repository(run.pipeline_id),
                is_begun=self.runner.has_started(set_up),
                settings=self.settings,
            )
        return SetUp(
            launch,
            preparation,
            ground,
            runner=self.runner,
            workspace=self.workspace,
            lease=lease,
            leases=self.leases,
            draining=self.draining,
            limits=self.limits,
        ).make()

    def _open(self, run: AgentRun) -> launching.Opened:
        """The clone of a role, or the checkout of a check, made or found."""
        with single_statements() as session:
            commit = (
                launching.work_commit(session, run=run)
                if run.role
                else launching.check_to_run(session, run=run).commit
            )
        if run.role is None:
            directory = self.workspace.open_checkout(run.pipeline_id, run_id=run.id, commit=commit)
            return launching.Opened(directory, commit)
        clone = self.workspace.open_clone(run.pipeline_id, role=run.role, run_id=run.id, work_commit=commit)
        return launching.Opened(clone.path, clone.head)

    def _launch(self, run: AgentRun) -> Launch:
        if run.role is None:
            return self._launch_of_check(run)
        with single_statements() as session:
            work_commit = launching.work_commit(session, run=run)
            reading = clone_inspection.read(session, run=run)
        clone = self.workspace.open_clone(
            run.pipeline_id, role=run.role, run_id=run.id, work_commit=work_commit
        )
        seen = clone_inspection.seen_in(self.workspace, reading, commit=clone.head)
        with unit_of_work() as session:
            layout = self.runner.layout(run.id, directory=clone.path)
            return launching.of_agent(
                session,
                run=run,
                backend=self.backend,
                clone=clone,
                layout=layout,
                repository=self.workspace.repository(run.pipeline_id),
                settings=self.settings,
                seen=seen,
            )

    def _launch_of_check(self, run: AgentRun) -> Launch:
        with unit_of_work() as session:
            check = launching.check_to_run(session, run=run)
        directory = self.workspace.open_checkout(run.pipeline_id, run_id=run.id, commit=check.commit)
        with unit_of_work() as session:
            return launching.of_check(
                session,
                run=run,
                check=check,
                layout=self.runner.layout(run.id, directory=directory),
                repository=self.workspace.repository(run.pipeline_id),
                settings=self.settings,
            )

    def _watched(self, run: AgentRun, lease: Lease) -> Exit | None:
        """Wait for its end, and have what it holds kept meanwhile."""
        keeping = self.snapshots.hold(run, self.runner) if self.snapshots else nullcontext()
        limiting = self.limits.hold(self.run_id, self.runner) if self.limits else nullcontext()
        with self.runner.attended(self.run_id), keeping, limiting:
            return self._watch(run, lease)

    def _watch(self, run: AgentRun, lease: Lease) -> Exit | None:
        """Wait for the process to end; None when this worker is to go."""
        # Counted in slices and not by a clock, which may run on while all of us are stopped.
        slices_left = None
        is_counted = run.status is RunStatus.RUNNING
        while True:
            outcome = self.runner.wait(self.run_id, timeout=SLICE)
            if outcome is not None:
                return outcome
            if self.draining.is_set():
                self._release()
                return None
            if lease.is_lost:
                raise LeaseLostError
            if is_counted:
                self._succeed()
                is_counted = False
            self._look(lease)
            if not lease.is_to_end:
                continue
            if slices_left is None:
                slices_left = KILL_AFTER // SLICE
                self.runner.stop(self.run_id)
            elif slices_left:
                slices_left -= 1
            else:
                self.runner.kill(self.run_id)

    def _succeed(self) -> None:
        """Have tries counted anew, since the run of an earlier attendance is watched well."""
        with suppress(DatabaseAway), unit_of_work() as session:
            tries.succeed(session, run_id=self.run_id)

    def _look(self, lease: Lease) -> None:
        """Look at the run's output and commits, and tell its agent what there is to be told.

        What cannot be looked at shows no activity; told it is again as long as the agent does not go.
        """
        self.leases.keep()
        try:
            found = (self.runner.last_active_at(self.run_id), self.workspace.last_moved_at(self.clone))
            lease.active_at = max((at for at in found if at), default=None)
        except OSError as error:
            log.warning("attendance.not_seen", run=str(self.run_id), error=str(error))
        words = lease.words
        if words is not None:
            try:
                self.runner.tell(self.run_id, words)
            except (Unavailable, OSError) as error:
                log.warning("attendance.not_told", run=str(self.run_id), error=str(error))

    def _release(self) -> None:
        with unit_of_work() as session:
            agent_runs.release(session, run_id=self.run_id, owner=self.owner, now=utcnow())


def _is_over(run: AgentRun, now: datetime) -> bool:
    return run.stop_at is not None and run.stop_at <= now
