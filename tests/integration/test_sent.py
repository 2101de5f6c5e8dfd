"""What each use case sends, and to whom; the rest of what it does is shown where its own tests are."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from egg_tasks import outbox
from egg_tasks.services.agents import agent_runs, agent_signals, deletions, halts, scheduling
from egg_tasks.services.agents.agent_runs import Salvaged
from egg_tasks.services.bus import messages, shares
from egg_tasks.services.bus.messages import Draft, Outgoing
from egg_tasks.services.engine import merges, readiness_signals, rebases, results
from egg_tasks.services.engine.readiness_signals import CloneState, Signal
from egg_tasks.services.people import decisions, notifications, operator_actions, pipelines, questions
from egg_tasks.services.people.questions import Question
from models.errors import UsedUp
from models.queries import pipelines as pipeline_rows
from models.queries import rebases as rebase_rows
from models.schemas.definition import validate
from models.schemas.git import Conflicted, Merged
from models.schemas.message import MessageType
from models.schemas.run import Exit, Report
from models.shares import Share
from models.states import Readiness
from tests.fakes import written
from tests.integration.world import World, definition

CODER: dict[str, object] = {"role": "coder"}
TESTER: dict[str, object] = {"role": "tester"}
Act = Callable[[World, Session], object]


def created(world: World) -> None:
    with world.work() as session:
        pipelines.create(session, definition=validate(definition(CODER, TESTER)), now=world.now)
        world.finish(session)


def started(world: World) -> None:
    created(world)
    with world.work() as session:
        pipelines.start(session, pipeline_id="p", now=world.now)
        world.finish(session)


def begun(world: World) -> None:
    world.begin(definition(CODER, TESTER))


def claimed(world: World) -> None:
    begun(world)
    with world.work() as session:
        agent_runs.claim(session, run_id=coder(world), owner="o", node="n", capacity=9, now=world.now)
        world.finish(session)


def at_work(world: World) -> None:
    begun(world)
    world.start("coder")
    world.start("tester")


def merging(world: World) -> None:
    at_work(world)
    world.ready("coder")


def rebasing(world: World) -> None:
    at_work(world)
    with world.work() as session:
        rebases.wish(session, pipeline_id="p", commit="b" * 40, now=world.now)
        world.finish(session)


def failed(world: World) -> None:
    at_work(world)
    for _ in range(9):
        if world.decisions():
            return
        world.end("coder", Exit(exit_code=1))
        world.wait_out()
        if "coder" in world.roles_live():
            world.start("coder")
    assert world.decisions()


def asked(world: World) -> None:
    at_work(world)
    with world.work() as session:
        question = Question("Which?", ("one", "two"), after=timedelta(minutes=1))
        questions.ask(session, run_id=world.live("coder").id, question=question, now=world.now)
        world.finish(session)
    world.pass_time(90)


def paused(world: World) -> None:
    at_work(world)
    world.do(pipelines.pause)
    world.ready("coder")


def halted(world: World) -> None:
    world.begin(definition(CODER))
    with world.work() as session:
        halts.order(session, why="", stops_running=False, now=world.now)
        world.finish(session)
    world.pass_time(60)


def left(world: World) -> None:
    world.begin(definition(CODER))
    world.pass_time(60)


def over(world: World) -> None:
    at_work(world)
    world.do(pipelines.cancel)
    for role in ("coder", "tester"):
        world.end(role, Exit(stopped=True), salvaged=Salvaged(None, is_ahead=False))


def create(world: World, session: Session) -> None:
    pipelines.create(session, definition=validate(definition(CODER)), now=world.now)


def coder(world: World) -> UUID:
    return world.live("coder").id


def say(signal: Signal, look: CloneState | None = None) -> Act:
    return lambda world, session: readiness_signals.readiness(
        session, run_id=coder(world), signal=signal, look=look, now=world.now
    )


def do(verb: Callable[..., object], **more: object) -> Act:
    return lambda world, session: verb(session, pipeline_id="p", now=world.now, **more)


def run(verb: Callable[..., object], **more: object) -> Act:
    return lambda world, session: verb(session, run_id=coder(world), now=world.now, **more)


def settle_merge(result: Merged | Conflicted) -> Act:
    def act(world: World, session: Session) -> None:
        key = outbox.VersionKey(world.phase_run().id, "coder", 1)
        made = merges.order(session, version=key)
        assert made is not None
        merges.settle(session, version=key, made=made, result=result, now=world.now)

    return act


def merge_ends(verb: Callable[..., object]) -> Act:
    def act(world: World, session: Session) -> None:
        key = outbox.VersionKey(world.phase_run().id, "coder", 1)
        verb(session, version=key, why="git cannot", now=world.now)

    return act


def settle_rebase(world: World, session: Session) -> None:
    row = rebase_rows.find_last_rebase(session, pipeline_id="p")
    assert row is not None
    made = rebases.order(session, number=row.id)
    assert made is not None
    result = Merged(commit="with-base")
    rebases.settle(session, number=row.id, made=made, commit="b" * 40, result=result, now=world.now)


def fail_rebase(world: World, session: Session) -> None:
    row = rebase_rows.find_last_rebase(session, pipeline_id="p")
    assert row is not None
    rebases.failed(session, number=row.id, why="git cannot", is_final=True, now=world.now)


def send(to: str, kind: MessageType, sender: str = "human") -> Act:
    def act(world: World, session: Session) -> None:
        pipeline = pipeline_rows.get_pipeline(session, pipeline_id="p")
        draft = Draft(kind, to_role=to)
        messages.send(session, pipeline=pipeline, sender=sender, draft=draft, now=world.now)

    return act


def send_at_once(world: World, session: Session) -> None:
    draft = Draft(MessageType.QUESTION, to_role="tester")
    outgoing = Outgoing(coder(world), "coder", draft)
    (sent,) = messages.send_together(session, outgoing=[outgoing], now=world.now)
    assert sent is not None
    messages.wake(session, sent)
    messages.judge(session, sent)


def resolve(words: str) -> Act:
    def act(world: World, session: Session) -> None:
        number = world.decisions()[-1].id
        decisions.resolve(session, decision_id=number, resolution=words, now=world.now)

    return act


def default(world: World, session: Session) -> None:
    decisions.default(session, decision_id=world.decisions()[-1].id, now=world.now)


def stop(world: World, session: Session) -> None:
    operator_actions.stop(session, pipeline_id="p", run_id=coder(world), now=world.now)


def note(world: World, session: Session) -> None:
    error = UsedUp("nothing is left", {"run": str(coder(world)), "share": str(Share.READY)})
    shares.spend(session, run_id=coder(world), share=Share.READY, now=world.now)
    shares.note(session, error=error, now=world.now)


QUESTION = Question("Which?", ("one", "two"))
READY = CloneState("c" * 40, "t" * 40, is_new=True, is_mended=False, own_number=0, seen={})
WELL = {"outcome": Exit(exit_code=0), "report": Report(None, ""), "salvaged": None}
CREATED = do(
    lambda session, now, **_: pipelines.create(session, definition=validate(definition(CODER)), now=now)
)
CASES: dict[str, tuple[Callable[[World], None], Act, list[str]]] = {
    "a pipeline is created": (lambda _: None, create, ["wake p"]),
    "a pipeline is started": (created, do(pipelines.start), ["wake p", "preparation of p"]),
    "it is started again": (started, do(pipelines.start), []),
    "its repository is there": (
        started,
        do(pipelines.prepared, base_commit="base"),
        ["wake p", "run coder, tester"],
    ),
    "its repository cannot be made": (
        started,
        do(pipelines.preparation_failed, why="no way", is_final=False),
        [],
    ),
    "its repository never can": (
        started,
        do(pipelines.preparation_failed, why="no way", is_final=True),
        ["wake p"],
    ),
    "it is cancelled": (begun, do(pipelines.cancel), ["wake p"]),
    "it is paused": (begun, do(pipelines.pause), ["wake p"]),
    "it is resumed": (paused, do(pipelines.resume), ["wake p", "merge coder 1"]),
    "it is extended": (begun, do(pipelines.extend, iterations=1, minutes=1), ["wake p"]),
    "its phase is restarted": (
        begun,
        do(operator_actions.restart_phase, phase="build"),
        ["wake p", "run coder, tester"],
    ),
    "its phase is accepted": (begun, do(operator_actions.advance_phase, phase="build"), ["wake p"]),
    "it is deleted": (over, do(deletions.order), ["wake p", "deletion of p"]),
    "its quota is raised": (begun, do(shares.grant, quota=2**30), ["wake p"]),
    "its base is wanted": (at_work, do(rebases.wish, commit="b" * 40), ["wake p", "merge the base"]),
    "its base is merged": (rebasing, settle_rebase, ["wake p, p all"]),
    "its base cannot be merged": (rebasing, fail_rebase, ["wake p"]),
    "a run starts": (claimed, run(agent_runs.started), ["wake p"]),
    "a run ends without what it owes": (at_work, run(agent_runs.settle, **WELL), ["wake p"]),
    "a run is given up": (
        at_work,
        run(agent_runs.give_up, why="no way", salvaged=None),
        ["wake p", "evaluation of p"],
    ),
    "a run is stopped": (at_work, stop, ["wake p"]),
    "a run that waits is stopped": (begun, stop, ["wake p", "run coder"]),
    "a run says READY": (at_work, say(Signal(Readiness.READY), READY), ["wake p", "merge coder 1"]),
    "a run says BLOCKED": (at_work, say(Signal(Readiness.BLOCKED, reason="so", on="tester")), ["wake p"]),
    "a run shows life": (at_work, run(agent_signals.heartbeat), []),
    "a run tells how far it is": (at_work, run(agent_signals.progress, text="half"), ["wake p"]),
    "a run tells an error": (at_work, run(agent_signals.error, text="oh"), ["wake p"]),
    "a run submits its result": (
        at_work,
        run(results.submit, fields={"status": "success", "summary": "done"}),
        ["wake p"],
    ),
    "a run has used up a share": (at_work, note, ["wake p"]),
    "a run asks a person": (at_work, run(questions.ask, question=QUESTION), ["wake p", "notify, try 1"]),
    "a version is merged": (merging, settle_merge(Merged(commit="work")), ["wake p"]),
    "a version conflicts": (merging, settle_merge(Conflicted(paths=("a",))), ["wake p"]),
    "a merge is put off": (merging, merge_ends(merges.failed), []),
    "a merge can never be made": (merging, merge_ends(merges.refused), ["wake p"]),
    "a person asks": (at_work, do(questions.create, question=QUESTION), ["wake p", "notify, try 1"]),
    "an agent's question is answered": (asked, resolve("one"), ["wake p, p coder", "evaluation of p"]),
    "an agent's question is not answered in time": (asked, default, ["wake p, p coder", "evaluation of p"]),
    "a failed role may try again": (failed, resolve("Retry"), ["wake p", "run coder"]),
    "a person writes to a role": (
        begun,
        send("coder", MessageType.DIRECTIVE),
        ["wake p, p coder", "evaluation of p"],
    ),
    "a person writes to all": (begun, send("all", MessageType.DIRECTIVE), ["wake p, p all"]),
    "an agent writes to another": (at_work, send_at_once, ["wake p, p tester", "evaluation of p"]),
    "an agent tells its progress": (at_work, send("all", MessageType.PROGRESS, "coder"), ["wake p, p all"]),
    "all is halted": (begun, lambda w, s: halts.order(s, why="", stops_running=True, now=w.now), []),
    "a halt is lifted": (halted, lambda w, s: halts.lift(s, now=w.now), ["run coder"]),
    "a place is looked for": (left, lambda w, s: scheduling.send_due(s, now=w.now), ["run coder"]),
    "people are told": (asked, lambda w, s: notifications.send_due(s, now=w.now, limit=9), ["notify, try 1"]),
}


@pytest.mark.parametrize(("begin", "act", "sent"), CASES.values(), ids=CASES)
def test_of_a_use_case_this_is_sent(
    world: World, begin: Callable[[World], None], act: Act, sent: list[str]
) -> None:
    begin(world)

    with world.work() as session:
        act(world, session)
        world.finish(session)

    assert [written(parcel) for parcel in world.sent] == sent
