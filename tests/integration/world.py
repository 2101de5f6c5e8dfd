"""A pipeline in a real database, moved by the services as the tasks and the API move them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.outbox import Parcel, VersionKey
from egg_tasks.services.agents import agent_runs, briefs
from egg_tasks.services.agents.agent_runs import Answer, Salvaged
from egg_tasks.services.bus import messages
from egg_tasks.services.bus.messages import Draft
from egg_tasks.services.engine import evaluation, merges, readiness_signals, results
from egg_tasks.services.engine.readiness_signals import CloneState, Signal
from egg_tasks.services.people import decisions, pipelines
from models.queries import agent_runs as run_rows
from models.queries import decisions as decision_rows
from models.queries import phase_runs, streams, versions
from models.queries import pipelines as pipeline_rows
from models.schemas.brief import Brief
from models.schemas.definition import validate
from models.schemas.git import Conflicted, Merged
from models.schemas.message import MessageType
from models.schemas.run import Exit
from models.states import Readiness
from models.tables import AgentRun, Check, Decision, Objection, PhaseRun, Pipeline, Result, Role, Version
from tests import fakes

START = datetime(2026, 1, 1, tzinfo=UTC)


def definition(*roles: dict[str, object], **phase: object) -> dict[str, object]:
    """A definition of one phase with these roles, each played by `true`."""
    agents = {str(role["role"]): {"backend": "command", "command": ["true"]} for role in roles}
    return {
        "version": 1,
        "name": "p",
        "repo": "/repository",
        "prompt": "Do it.",
        "agents": agents,
        "phases": [{"name": "build", "mode": "concurrent", "roles": list(roles), **phase}],
    }


@dataclass
class World:
    """One pipeline and a clock that a test moves."""

    engine: Engine
    now: datetime = START
    ids: "count[int]" = field(default_factory=count)
    sent: tuple[Parcel, ...] = ()
    """What the last unit of work left to be sent."""

    def begin(self, document: dict[str, object]) -> None:
        """Create and start the pipeline, and let its repository be prepared."""
        with self.work() as session:
            pipelines.create(session, definition=validate(document), now=self.now)
            pipelines.start(session, pipeline_id="p", now=self.now)
            pipelines.prepared(session, pipeline_id="p", base_commit="base", now=self.now)
            self.finish(session)

    def work(self) -> Session:
        """A session; `finish` commits it as a unit of work does."""
        return Session(self.engine, expire_on_commit=False)

    def finish(self, session: Session) -> None:
        """Number what was deferred, commit, and keep what is to be sent."""
        self.sent = outbox.of(session).seal(streams.number_pending(session))
        session.commit()

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)

    def wait_out(self) -> None:
        """Let the pause after a first run that went wrong pass, and the reconciler come by."""
        self.pass_time(10)
        self.evaluate()

    def live(self, role: str | None) -> AgentRun:
        """The role's live run; `None` for the check's."""
        with self.work() as session:
            runs = run_rows.list_agent_runs(session, pipeline_id="p")
        return next(run for run in reversed(runs) if run.role == role and run.closed_at is None)

    def roles_live(self) -> set[str | None]:
        """Who has a run that is not closed."""
        with self.work() as session:
            runs = run_rows.list_agent_runs(session, pipeline_id="p")
        return {run.role for run in runs if run.closed_at is None}

    def start(self, role: str | None) -> Brief | None:
        """Attend the role's run as a worker does, up to its start."""
        run = self.live(role)
        with self.work() as session:
            claim = agent_runs.claim(
                session, run_id=run.id, owner="node/1/1", node="node", capacity=9, now=self.now
            )
            assert claim.answer is Answer.CLAIMED
            brief = None
            if role is not None:
                brief = briefs.hand_over(session, run=claim.run)
            self.finish(session)
        with self.work() as session:
            agent_runs.started(session, run_id=run.id, now=self.now)
            self.finish(session)
        return brief

    def say(
        self, role: str, signal: Signal, *, is_new: bool = True, is_mended: bool = False, **seen: int
    ) -> None:
        """Have the role's run signal, its clone holding these versions of the others."""
        run = self.live(role)
        with self.work() as session:
            number = phase_runs.get_role(session, phase_run_id=run.phase_run_id, role=role).version
            phase_runs.mark_seen(session, phase_run_id=run.phase_run_id, role=role, versions=seen)
            commit = f"{role}-{next(self.ids)}"
            look = CloneState(commit, f"tree-{commit}", is_new, is_mended, number, seen)
            readiness_signals.readiness(session, run_id=run.id, signal=signal, look=look, now=self.now)
            self.finish(session)

    def ready(self, role: str, *, is_new: bool = True, is_mended: bool = False, **seen: int) -> None:
        """Have the role say READY."""
        self.say(role, Signal(Readiness.READY), is_new=is_new, is_mended=is_mended, **seen)

    def report(self, role: str, **fields: object) -> Result:
        """Have the role's run submit its typed result."""
        run = self.live(role)
        with self.work() as session:
            said = {"status": "success", "summary": "done", **fields}
            row = results.submit(session, run_id=run.id, fields=said, now=self.now)
            self.finish(session)
        return row

    def end(
        self,
        role: str | None,
        outcome: Exit | None = None,
        *,
        salvaged: Salvaged | None = None,
        log: str = "the log",
    ) -> None:
        """End the role's run, by default with exit code 0."""
        run, ended = self.live(role), outcome or Exit(exit_code=0)
        with self.work() as session:
            agent_runs.settle(
                session,
                run_id=run.id,
                outcome=ended,
                report=fakes.report(ended, log),
                salvaged=salvaged,
                now=self.now,
            )
            self.finish(session)

    def merge(self, role: str, number: int, *, conflict: tuple[str, ...] = ()) -> None:
        """Make the merge that is under way."""
        key = VersionKey(self.phase_run().id, role, number)
        with self.work() as session:
            made = merges.order(session, version=key)
            assert made is not None
            result = Conflicted(paths=conflict) if conflict else Merged(commit=f"work-{next(self.ids)}")
            merges.settle(session, version=key, made=made, result=result, now=self.now)
            self.finish(session)

    def do(self, verb: Callable[..., object]) -> None:
        """Have a person do something with the pipeline."""
        with self.work() as session:
            verb(session, pipeline_id="p", now=self.now)
            self.finish(session)

    def answer(self, resolution: str) -> None:
        """Have a person answer the newest question."""
        number = self.decisions()[-1].id
        with self.work() as session:
            decisions.resolve(session, decision_id=number, resolution=resolution, now=self.now)
            self.finish(session)

    def runs(self) -> list[AgentRun]:
        """The agent runs of the pipeline, oldest first."""
        with self.work() as session:
            return list(run_rows.list_agent_runs(session, pipeline_id="p"))

    def evaluate(self) -> None:
        """Evaluate as the reconciler does."""
        with self.work() as session:
            evaluation.evaluate(session, phase_run_id=self.phase_run().id, now=self.now)
            self.finish(session)

    def send(
        self, sender: str, to: str, kind: MessageType, key: str | None = None, body: str = "words"
    ) -> int:
        """Put a message on the bus; its id."""
        with self.work() as session:
            pipeline = pipeline_rows.get_pipeline(session, pipeline_id="p")
            draft = Draft(kind, to_role=to, body=body, client_key=key)
            message = messages.send(session, pipeline=pipeline, sender=sender, draft=draft, now=self.now)
            self.finish(session)
        return message.id

    def phase_run(self) -> PhaseRun:
        """The newest phase run."""
        with self.work() as session:
            phase_run = phase_runs.find_last_phase_run(session, pipeline_id="p")
        assert phase_run is not None
        return phase_run

    def phase_runs(self) -> list[PhaseRun]:
        """All phase runs, the oldest first."""
        with self.work() as session:
            return list(phase_runs.list_phase_runs(session, pipeline_id="p"))

    def pipeline(self) -> Pipeline:
        """The pipeline's row."""
        with self.work() as session:
            return pipeline_rows.get_pipeline(session, pipeline_id="p")

    def role(self, name: str) -> Role:
        """A role's row in the newest phase run."""
        with self.work() as session:
            return phase_runs.get_role(session, phase_run_id=self.phase_run().id, role=name)

    def decisions(self) -> list[Decision]:
        """The questions of the pipeline."""
        with self.work() as session:
            return list(decision_rows.list_decisions(session, pipeline_id="p"))

    def objections(self) -> list[Objection]:
        """The objections of the newest phase run."""
        with self.work() as session:
            return list(versions.list_objections(session, phase_run_id=self.phase_run().id))

    def versions(self) -> list[Version]:
        """The versions of the newest phase run."""
        with self.work() as session:
            return list(versions.list_versions(session, phase_run_id=self.phase_run().id))

    def checks(self) -> list[Check]:
        """The checks of the newest phase run."""
        with self.work() as session:
            return list(versions.list_checks(session, phase_run_id=self.phase_run().id))

    def run(self, run_id: UUID) -> AgentRun:
        """A run's row."""
        with self.work() as session:
            return run_rows.get_agent_run(session, run_id=run_id)
