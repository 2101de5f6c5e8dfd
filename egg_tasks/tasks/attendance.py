"""Attending an agent run: claim, ensure, wait, finish. Each part may be repeated by another worker."""

import threading
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from egg_tasks import disk
from egg_tasks.clock import utcnow
from egg_tasks.config import Settings
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.ports import Runner, Workspace
from egg_tasks.services import agent_runs, briefs, looks
from egg_tasks.services.agent_runs import Answer, Salvaged
from egg_tasks.tasks import launching
from egg_tasks.tasks.dispatch import dispatch
from egg_tasks.tasks.leases import Lease, Leases
from models.errors import DatabaseAway, EggError, Halted, NoRoom, Rejected, Unavailable
from models.foreign import one_line
from models.queries import agent_runs as rows
from models.schemas.run import Exit, Launch
from models.states import LIVE_RUNS
from models.tables import AgentRun

log = structlog.get_logger()

SLICE = timedelta(seconds=1)
ROOM_PAUSE = timedelta(seconds=10)
"""After so long it is looked again whether the disk has room."""
KILL_AFTER = timedelta(seconds=10)
"""How long an agent that was asked to end may take."""
MAX_LOG = 64 * 1024
"""So many bytes of the end of a run's output are kept or read for its result."""
LOG_PIECE = 1024 * 1024


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
        workspace: Workspace,
        draining: threading.Event,
        leases: Leases,
    ) -> None:
        self.run_id = run_id
        self.owner = owner
        self.settings = settings
        self.runner = runner
        self.workspace = workspace
        self.draining = draining
        self.leases = leases
        self.clone = settings.home / "runs" / str(run_id) / "clone"

    def attend(self) -> Left:
        """Take the run through to its end, or leave it to whoever comes next."""
        claim = self._claim()
        if claim.answer is not Answer.CLAIMED:
            return Left.FINISHED if claim.answer is Answer.DONE else Left(claim.answer)
        try:
            with self.leases.hold(self._lease()) as lease:
                outcome = self._ensure(claim.run) or self._watch(lease)
                if outcome is None:
                    return Left.DRAINED
                self._finish(claim.run, outcome)
        except LeaseLostError:
            return Left.HELD
        except Halted:
            self._release()
            return Left.PARKED
        except NoRoom as error:
            log.warning("attendance.no_room", run=str(self.run_id), error=error.message)
            self._release(ROOM_PAUSE)
            return Left.UNFINISHED
        except Unavailable as error:
            # What could not be finished is found unattended and taken up again.
            log.warning("attendance.unfinished", run=str(self.run_id), error=error.message)
            return Left.UNFINISHED
        return Left.FINISHED

    def _lease(self) -> Lease:
        return Lease(self.run_id, self.owner, self._last_active_at, self._tell)

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

    def _ensure(self, run: AgentRun) -> Exit | None:
        """Start the run's process unless it was; how it ended already when it need or can not be started."""
        if not self.runner.has_started(self.run_id):
            if run.status not in LIVE_RUNS or _is_over(run, utcnow()):
                return Exit(stopped=True, signal=15)
            try:
                disk.need(self.settings.home)
                self.runner.ensure(self._launch(run))
            except (DatabaseAway, Halted, NoRoom):
                raise
            except EggError as error:
                if not self.runner.has_started(self.run_id):
                    # Of what a full disk does, little says so.
                    disk.need(self.settings.home)
                    return Exit(error=error.message)
        with unit_of_work() as session:
            dispatch(session, agent_runs.started(session, run_id=self.run_id, now=utcnow()))
        return None

    def _launch(self, run: AgentRun) -> Launch:
        if run.role is None:
            with unit_of_work() as session:
                commit, command = launching.check_to_run(session, run=run)
            directory = self.workspace.open_checkout(run.pipeline_id, run_id=run.id, commit=commit)
            return launching.of_check(run, command=command, directory=directory, settings=self.settings)
        with single_statements() as session:
            work_commit = launching.work_commit(session, run=run)
            reading = looks.read(session, run=run)
        clone = self.workspace.open_clone(
            run.pipeline_id, role=run.role, run_id=run.id, work_commit=work_commit
        )
        seen = looks.seen_in(self.workspace, reading, commit=clone.head)
        with unit_of_work() as session:
            return launching.of_agent(session, run=run, clone=clone, settings=self.settings, seen=seen)

    def _watch(self, lease: Lease) -> Exit | None:
        """Wait for the process to end; None when this worker is to go."""
        # Counted in slices and not by a clock, which may run on while all of us are stopped.
        slices_left = None
        while True:
            outcome = self.runner.wait(self.run_id, timeout=SLICE)
            if outcome is not None:
                return outcome
            if self.draining.is_set():
                self._release()
                return None
            if lease.is_lost:
                raise LeaseLostError
            if not lease.is_to_end:
                continue
            if slices_left is None:
                slices_left = KILL_AFTER // SLICE
                self.runner.stop(self.run_id)
            elif slices_left:
                slices_left -= 1
            else:
                self.runner.kill(self.run_id)

    def _last_active_at(self) -> datetime | None:
        """Look at the run's output and commits."""
        found = (self.runner.last_active_at(self.run_id), self.workspace.last_moved_at(self.clone))
        return max((at for at in found if at), default=None)

    def _tell(self, words: str) -> None:
        """Tell the agent, again as long as it does not go."""
        try:
            self.runner.tell(self.run_id, words)
        except Unavailable as error:
            log.warning("attendance.not_told", run=str(self.run_id), error=error.message)

    def _finish(self, run: AgentRun, outcome: Exit) -> None:
        """Make the work safe, then write the end, in that order."""
        try:
            salvaged = self._salvage(run)
        except Rejected as error:
            # Nothing more can be done for this work than to leave the clone where it is and say so.
            log.warning("salvage.refused", run=str(run.id), clone=str(self.clone), error=error.message)
            salvaged = Salvaged(None, is_ahead=False, kept=[f"all of it ({one_line(error.message)})"])
        output = self._log()
        with unit_of_work() as session:
            effects = agent_runs.settle(
                session,
                run_id=self.run_id,
                outcome=outcome,
                salvaged=salvaged,
                log=output,
                now=utcnow(),
            )
            dispatch(session, effects)

    def _salvage(self, run: AgentRun) -> Salvaged | None:
        role = run.role
        if role is None:
            return None
        with single_statements() as session:
            # As it is now: what it said since it was claimed counts.
            is_refused = rows.get_agent_run(session, run_id=run.id).refused_at is not None
        saved = self.workspace.salvage(
            run.pipeline_id,
            role=role,
            run_id=run.id,
            clone=self.clone,
            branch=briefs.branch(run.pipeline_id, role),
            is_refused=is_refused,
        )
        if saved is None:
            return None
        with single_statements() as session:
            reading = looks.read(session, run=rows.get_agent_run(session, run_id=run.id))
        is_ahead = looks.is_ahead(self.workspace, reading, commit=saved.commit)
        strays = self.workspace.save_strays(run.pipeline_id, run_id=run.id, clone=self.clone)
        return Salvaged(saved.commit, is_ahead, saved.set_aside, saved.kept, strays)

    def _log(self) -> str:
        text, offset = b"", 0
        while part := self.runner.read_log(self.run_id, offset=offset, limit=LOG_PIECE):
            offset += len(part)
            text = (text + part)[-MAX_LOG:]
        return text.decode(errors="replace")

    def _release(self, pause: timedelta = timedelta(0)) -> None:
        with unit_of_work() as session:
            agent_runs.release(session, run_id=self.run_id, owner=self.owner, now=utcnow() + pause)


class LeaseLostError(Exception):
    """Another worker attends the run now."""


def _is_over(run: AgentRun, now: datetime) -> bool:
    return run.stop_at is not None and run.stop_at <= now
