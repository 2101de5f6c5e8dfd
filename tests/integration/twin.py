"""A phase run in a real database, moved as the walk's twin of it is: the one place that knows how."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import text

from egg_tasks.services.agents import agent_signals
from egg_tasks.services.agents.agent_runs import Salvaged
from egg_tasks.services.engine import readiness_signals
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import decisions, operator_actions, pipelines, questions
from egg_tasks.services.people.questions import Question
from models.consensus.snapshot import BASE, RunView, Snapshot
from models.consensus.step import Cause, CauseKind
from models.queries import decisions as decision_rows
from models.queries import phase_runs, versions
from models.queries import pipelines as pipeline_rows
from models.queries.snapshots import load_snapshot
from models.schemas.definition import validate
from models.schemas.message import MessageType
from models.schemas.run import Exit
from models.states import Failure, ObjectionStatus, PhaseStatus, Readiness
from models.tables import AgentRun, Base
from tests.factories import LONG_AGO, NOW
from tests.integration.world import World as Rows
from tests.unit.consensus_moves import WORDS
from tests.unit.consensus_world import Story
from tests.unit.consensus_world import World as Twin

REPORTED = {Failure.NETWORK, Failure.AUTH, Failure.QUOTA, Failure.CONTEXT_OVERFLOW}
HOUR = (NOW - LONG_AGO).total_seconds()


@dataclass
class Real:
    """The rows, and what of them has another name in the twin."""

    rows: Rows
    story: Story
    tips: list[str] = field(default_factory=list)

    def begin(self, document: dict[str, object]) -> None:
        """Empty the database and start the pipeline, up to where its agents run."""
        names = ", ".join(str(table) for table in Base.metadata.tables.values())
        with self.rows.work() as session:
            session.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
            session.commit()
        with self.rows.work() as session:
            pipelines.create(session, definition=validate(document), now=self.rows.now)
            pipelines.start(session, pipeline_id="p", now=self.rows.now)
            self.rows.finish(session)

    def move(self, name: str, before: Twin, after: Twin) -> None:
        """Do what *name* says; *after* is what the twin says has come of it, before anything was decided."""
        match name.split(" "):
            case ["prepared"]:
                self._prepare()
            case ["time", "passes"]:
                self.rows.pass_time(HOUR)
                self.rows.evaluate()
            case ["check", status]:
                self._check_ends(status)
            case ["message", "to", at]:
                self.rows.send("human", self._name(at), MessageType.DIRECTIVE)
                self.rows.evaluate()
            case [at, *what] if at.isdigit():
                self._move_of(at, what, before, after)
            case _:
                self._answer(name, before)

    def _move_of(self, at: str, what: list[str], before: Twin, after: Twin) -> None:
        match what:
            case ["is", "merged"]:
                self._merge(before)
            case ["conflicts"]:
                self._merge(before, "app.py")
            case ["syncs"]:
                self._sync(int(at), after)
            case ["asks", "a", "person"]:
                self._ask(self._name(at))
            case ["is", "ordered", "to", "run"]:
                self._order(self._name(at))
            case ["WORKING" | "BLOCKED" | "OBJECTING" | "READY," as state, *rest]:
                self._say(int(at), Readiness(state.rstrip(",")), rest, after)
            case _:
                self._end(self._name(at), " ".join(what), before)

    def start(self, twin: Twin) -> None:
        """Start what was dispatched, each clone holding what the twin says."""
        for run in self.rows.runs():
            if run.closed_at is None and run.started_at is None and run.ended_at is None:
                self.rows.start(run.role)
                if run.role is not None:
                    self._mark_seen(run, twin)

    def _name(self, at: str) -> str:
        return self.story.names[int(at)]

    def _seen(self, at: int, twin: Twin) -> dict[str, int]:
        pairs = zip((*self.story.names, BASE), twin.roles[at].seen, strict=True)
        return {name: version for name, version in pairs if version}

    def _mark_seen(self, run: AgentRun, twin: Twin) -> None:
        at = self.story.names.index(str(run.role))
        with self.rows.work() as session:
            phase_runs.mark_seen(
                session, phase_run_id=run.phase_run_id, role=str(run.role), versions=self._seen(at, twin)
            )
            self.rows.finish(session)

    def _prepare(self) -> None:
        with self.rows.work() as session:
            pipelines.prepared(session, pipeline_id="p", base_commit="base", now=self.rows.now)
            self.rows.finish(session)
        self.tips.append("base")

    def _merge(self, before: Twin, *conflict: str) -> None:
        assert before.merging is not None
        at, version = before.merging
        self.rows.merge(self.story.names[at], version, conflict=conflict)
        if not conflict:
            self.tips.append(str(self.rows.pipeline().work_commit))

    def _sync(self, at: int, after: Twin) -> None:
        run = self.rows.live(self.story.names[at])
        with self.rows.work() as session:
            readiness_signals.sync(session, run_id=run.id, seen=self._seen(at, after), now=self.rows.now)
            self.rows.finish(session)

    def _ask(self, role: str) -> None:
        run = self.rows.live(role)
        with self.rows.work() as session:
            question = Question(f"what of {len(self.rows.decisions())}?", client_key=role)
            questions.ask(session, run_id=run.id, question=question, now=self.rows.now)
            self.rows.finish(session)

    def _order(self, role: str) -> None:
        run = max((run for run in self.rows.runs() if run.role == role), key=lambda run: run.number)
        with self.rows.work() as session:
            operator_actions.retry(session, pipeline_id="p", run_id=run.id, now=self.rows.now)
            self.rows.finish(session)

    def _say(self, at: int, state: Readiness, rest: list[str], after: Twin) -> None:
        role = self.story.names[at]
        run = self.rows.live(role)
        other = self._name(rest[-1]) if rest and rest[0] in {"on", "to"} else None
        handed = [
            row.number
            for row in self.rows.objections()
            if row.delivered_to == run.id and row.status is ObjectionStatus.OPEN
        ]
        signal = Signal(
            state,
            reason="so it is",
            on=other if state is Readiness.BLOCKED else None,
            about=other if state is Readiness.OBJECTING else None,
            answers=dict.fromkeys(handed, "it is right")
            if rest[:1] != ["new"] and state is Readiness.READY
            else {},
        )
        self.rows.say(
            role, signal, is_new=rest == ["new"], is_mended=rest[-1:] == ["gone"], **self._seen(at, after)
        )

    def _end(self, role: str, how: str, before: Twin) -> None:
        live = before.roles[self.story.names.index(role)].live
        assert live is not None
        is_stopped = live.is_cut_short or live.is_stopping
        clean = Salvaged("salvaged", is_ahead=False)
        match how:
            case "ends" | "ends by itself":
                self.rows.end(role, Exit(exit_code=0, stopped=is_stopped and how == "ends"), salvaged=clean)
            case "ends dirty":
                dirty = Salvaged("salvaged", is_ahead=True)
                self.rows.end(role, Exit(exit_code=0, stopped=is_stopped), salvaged=dirty)
            case "crashes":
                self.rows.end(role, Exit(exit_code=1), salvaged=clean)
            case "is lost":
                self.rows.end(role, Exit(), salvaged=clean)
            case "cannot start":
                self.rows.end(role, Exit(error="no such luck"), salvaged=clean)
            case "is stopped":
                run = self.rows.live(role)
                with self.rows.work() as session:
                    operator_actions.stop(session, pipeline_id="p", run_id=run.id, now=self.rows.now)
                    self.rows.finish(session)
                self.rows.end(role, Exit(signal=15, stopped=True), salvaged=clean)
            case _:
                self._report(role, FAILED[how])
                self.rows.end(role, Exit(exit_code=1), salvaged=clean)

    def _report(self, role: str, kind: Failure) -> None:
        run = self.rows.live(role)
        with self.rows.work() as session:
            agent_signals.error(session, run_id=run.id, text="it says", kind=kind, now=self.rows.now)
            self.rows.finish(session)

    def _check_ends(self, status: str) -> None:
        ends = {"green": Exit(exit_code=0), "red": Exit(exit_code=1), "error": Exit()}
        self.rows.end(None, ends[status])

    def _answer(self, name: str, before: Twin) -> None:
        asked = next(d for d in before.decisions if d.is_pending and name.startswith(f"{d.key}: "))
        answer = name.removeprefix(f"{asked.key}: ")
        row = self.rows.decisions()[asked.number - 1]
        with self.rows.work() as session:
            decisions.resolve(session, decision_id=row.id, resolution=answer, now=self.rows.now)
            self.rows.finish(session)
        if answer == WORDS:
            self.rows.evaluate()

    def snapshot(self) -> tuple[Snapshot, "Names"]:
        """The snapshot as the services load it, and what numbers in it are in the twin."""
        phase_run = self.rows.phase_runs()[0]
        with self.rows.work() as session:
            pipeline = pipeline_rows.get_pipeline(session, pipeline_id="p")
            policy = pipeline.definition.phase_policy(0)
            read = load_snapshot(
                session, pipeline=pipeline, phase_run=phase_run, policy=policy, now=self.rows.now
            )
            checks = versions.list_checks(session, phase_run_id=phase_run.id)
            asked = decision_rows.list_decisions(session, phase_run_id=phase_run.id)
            messages = session.execute(
                text("SELECT id, to_role FROM egg.messages WHERE from_role = 'human' ORDER BY id")
            ).all()
        sent: dict[str, list[int]] = {}
        for number, role in messages:
            sent.setdefault(role, []).append(number)
        names = Names(
            sent,
            {row.id: at for at, row in enumerate(sorted(asked, key=lambda row: row.id), 1)},
            {row.id: at for at, row in enumerate(sorted(checks, key=lambda row: row.id), 1)},
            {commit: f"c{at}" for at, commit in enumerate(self.tips)},
        )
        return read.snapshot, names


FAILED = {
    "is cut off": Failure.NETWORK,
    "is refused": Failure.AUTH,
    "has no quota": Failure.QUOTA,
    "overflows": Failure.CONTEXT_OVERFLOW,
}


@dataclass(frozen=True)
class Names:
    """What the numbers of the database are in the twin; in the twin's own snapshot they are themselves."""

    messages: Mapping[str, list[int]] | None = None
    decisions: Mapping[int, int] | None = None
    checks: Mapping[int, int] | None = None
    tips: Mapping[str, str] | None = None

    def message(self, role: str, number: int | None) -> int | None:
        """Which message to the role it is."""
        return number if self.messages is None or number is None else self.messages[role].index(number) + 1

    def decision(self, number: int | None) -> int | None:
        """Which decision of the phase run it is."""
        return number if self.decisions is None or number is None else self.decisions[number]

    def cause(self, role: str, cause: Cause) -> str:
        """A cause in the twin's words."""
        number: int | None = cause.number
        match cause.kind:
            case CauseKind.MESSAGE:
                number = self.message(role, cause.number)
            case CauseKind.RETRY if cause.role == "decision":
                number = self.decision(cause.number)
            case CauseKind.CHECK:
                number = cause.number if self.checks is None else self.checks[cause.number]
        return str(replace(cause, number=number or 0))


def wordless(snapshot: Snapshot) -> Snapshot:
    """The snapshot without how runs ended in words, of which the twin has none."""
    roles = tuple(
        replace(role, trailing=tuple(replace(run, how="", last_line="") for run in role.trailing))
        for role in snapshot.roles
    )
    check = snapshot.check and replace(snapshot.check, how="", last_line="")
    return replace(snapshot, roles=roles, check=check)


def told(snapshot: Snapshot, names: Names) -> dict[str, Any]:
    """All of a snapshot that the twin has, by a word for each thing, for a difference to be read."""
    found: dict[str, Any] = {
        "status": PhaseStatus.RUNNING if snapshot.status is PhaseStatus.AWAITING_HUMAN else snapshot.status,
        "tip": snapshot.tip and (names.tips[snapshot.tip] if names.tips else snapshot.tip),
        "tip owner": snapshot.tip_owner,
        "check live": snapshot.is_check_live,
        "old version merging": snapshot.is_superseded_merging,
        "unclosed runs": snapshot.unclosed_runs,
        "stop reason": snapshot.stop_reason,
        "iterations": snapshot.iterations_used,
    }
    for role in snapshot.roles:
        of = role.name
        found |= {
            f"{of} state": role.state,
            f"{of} dropped": role.is_dropped,
            f"{of} blocked on": role.blocked_on,
            f"{of} version": (role.version, role.merge),
            f"{of} seen": {other: n for other, n in role.seen.items() if n and other != of},
            f"{of} waking message": names.message(of, role.waking_message),
            f"{of} dispatched": (role.dispatched, role.runs, role.extra_rounds),
            f"{of} owed": names.decision(role.owed_by_decision),
            f"{of} live": role.live and _run(of, role.live, names),
            f"{of} last": role.last and role.last.is_closed,
            f"{of} trailing": [_run(of, run, names) for run in role.trailing],
            f"{of} handled": sorted(names.cause(of, cause) for cause in role.handled),
        }
    for objection in snapshot.objections:
        found[f"objection {objection.number}"] = (
            objection.from_role, objection.about_role, objection.version, objection.status,
            objection.round, objection.upheld_over_words,
        )  # fmt: skip
    for decision in snapshot.decisions:
        is_question = decision.key.startswith("question:")
        found[f"decision {names.decision(decision.number)}"] = (
            "question" if is_question else decision.key, decision.kind, decision.roles, decision.is_pending,
            decision.resolution,
        )  # fmt: skip
    if (check := snapshot.check) is not None:
        number = names.checks[check.number] if names.checks else check.number
        found["check"] = (number, check.status, check.attempts, check.errors)
    return found


def _run(role: str, run: RunView, names: Names) -> tuple[object, ...]:
    causes = sorted(names.cause(role, cause) for cause in run.causes)
    return (
        run.number, causes, run.verdict, run.owes_verdict, run.failure, run.is_closed, run.is_cut_short,
    )  # fmt: skip


def differences(twin: dict[str, Any], real: dict[str, Any]) -> Iterable[str]:
    """What is not the same, a line for each thing."""
    for key in sorted({*twin, *real}):
        if (one := twin.get(key, "nothing")) != (other := real.get(key, "nothing")):
            yield f"{key}: the twin has {one}, the services {other}"
