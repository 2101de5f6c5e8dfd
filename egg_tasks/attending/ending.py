"""Ending an agent run: first its work is made safe, then its end is written; or it is given up."""

from pathlib import Path
from uuid import UUID

import structlog

from egg_tasks import worktrees
from egg_tasks.attending.run_output import RunOutput
from egg_tasks.clock import utcnow
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.foreign_files import is_directory, is_there
from egg_tasks.ports import Backend, Runner, Workspace
from egg_tasks.run_places import KEPT, set_up_of
from egg_tasks.services.agents import agent_runs, clone_inspection, clones, tries
from egg_tasks.services.agents.agent_runs import Salvaged
from egg_tasks.use_cases.faults import NOBODYS, shortened
from models.errors import Conflict, Rejected, Unavailable
from models.git_names import role_branch
from models.queries import agent_runs as rows
from models.schemas.run import Exit
from models.tables import AgentRun

log = structlog.get_logger()

NO_DIRECTORY = "its clone is no directory any more"


class Ending:
    """What is left to do for a run whose process is gone, or is to be; each part may be repeated."""

    def __init__(
        self, run_id: UUID, *, runner: Runner, backend: Backend, workspace: Workspace, clone: Path
    ) -> None:
        self.run_id = run_id
        self.set_up_id = set_up_of(run_id)
        self.runner = runner
        self.backend = backend
        self.workspace = workspace
        self.clone = clone

    def finish(self, run: AgentRun, outcome: Exit) -> None:
        """Make the work safe, then write the end, in that order."""
        is_set_up = outcome.is_set_up or self._was_only_set_up()
        try:
            # Nobody has worked in a clone that was only being made ready.
            salvaged = Salvaged(None, is_ahead=False) if is_set_up and run.role else self._salvage(run)
        except Rejected as error:
            # Nothing more can be done for this work than to leave the clone where it is and say so.
            log.warning("salvage.refused", run=str(run.id), clone=str(self.clone), error=error.message)
            salvaged = self._kept(error)
        written = RunOutput(self.runner, self.set_up_id if outcome.is_set_up else self.run_id)
        report = self.backend.understand(outcome, written)
        with unit_of_work() as session:
            agent_runs.settle(
                session,
                run_id=self.run_id,
                outcome=outcome,
                report=report,
                salvaged=salvaged,
                now=utcnow(),
            )
        self._put_aside(salvaged)

    def give_up(self, run: AgentRun, *, why: Exception) -> None:
        """Close a run that does not come to its end as lost: its process gone, and saved what can be.

        `Unavailable` as long as its process lives.
        """
        try:
            self.end_set_up()
            self.runner.kill(self.run_id)
        except NOBODYS:
            raise
        except Exception:
            # What counts is whether it is gone.
            log.exception("attendance.not_killed", run=str(self.run_id))
        if not {self.run_id, self.set_up_id}.isdisjoint(self.runner.list_live()):
            raise Unavailable(f"agent run {self.run_id} is to be given up, and its process does not end")
        sentence = f"its end could not be read: {shortened(why)}"
        try:
            self._write(sentence, self._salvaged_at_last(run))
        except NOBODYS:
            raise
        except Exception as error:
            # What was saved is on its branch; what cannot be written of it must not keep the run open.
            log.exception("attendance.not_written", run=str(self.run_id))
            self._write(sentence, self._kept(error))

    def end_set_up(self) -> None:
        """End what makes its clone ready, if anything does."""
        if self.runner.has_started(self.set_up_id):
            self.runner.kill(self.set_up_id)

    def _was_only_set_up(self) -> bool:
        return self.runner.has_started(self.set_up_id) and not self.runner.has_started(self.run_id)

    def _put_aside(self, salvaged: Salvaged | None) -> None:
        """Put a clone aside that holds what is nowhere else; the reconciler has it done if this does not."""
        try:
            if salvaged is not None and salvaged.kept and self.workspace.keep(self.run_id):
                with unit_of_work() as session:
                    clones.kept(session, run_id=self.run_id, now=utcnow())
        except Unavailable as error:
            log.warning("clone.not_put_aside", run=str(self.run_id), error=error.message)

    def _write(self, sentence: str, salvaged: Salvaged | None) -> None:
        if salvaged is not None and salvaged.kept:
            sentence += f"; its clone is kept: {self.clone.with_name(KEPT)}"
        with unit_of_work() as session:
            agent_runs.give_up(session, run_id=self.run_id, why=sentence, salvaged=salvaged, now=utcnow())
        log.warning("attendance.given_up", run=str(self.run_id), why=sentence)
        self._put_aside(salvaged)

    def _salvaged_at_last(self, run: AgentRun) -> Salvaged | None:
        """What can be saved of a run that is given up."""
        if run.tries > tries.most(run) + 1:
            # Whoever tried to save it did not live to say how that went.
            return self._kept(Unavailable("saving it ended the process that tried"))
        try:
            return self._salvage(run)
        except NOBODYS:
            raise
        except Exception as error:
            log.exception("salvage.failed", run=str(run.id), clone=str(self.clone))
            return self._kept(error)

    def _kept(self, error: Exception) -> Salvaged:
        return Salvaged(None, is_ahead=False, kept=[f"all of it ({shortened(error)})"])

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
            branch=role_branch(run.pipeline_id, role),
            is_refused=is_refused,
        )
        outside = worktrees.unsaved(self.clone)
        if saved is None:
            if self._is_in_the_way() or outside:
                return self._kept(Conflict("; ".join((NO_DIRECTORY, *outside))))
            return None
        with single_statements() as session:
            reading = clone_inspection.read(session, run=rows.get_agent_run(session, run_id=run.id))
        is_ahead = clone_inspection.is_ahead(self.workspace, reading, commit=saved.commit)
        strays = self.workspace.save_strays(run.pipeline_id, run_id=run.id, clone=self.clone)
        odd = (NO_DIRECTORY,) if self._is_in_the_way() else ()
        kept = (*saved.kept, *strays.left, *odd, *outside)
        return Salvaged(saved.commit, is_ahead, saved.set_aside, kept, strays.saved, saved.snapshot_at)

    def _is_in_the_way(self) -> bool:
        """Whether something is where the clone was that is none: perhaps it leads to it."""
        return not is_directory(self.clone) and is_there(self.clone.parent, self.clone.name)
