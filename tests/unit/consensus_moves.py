"""What agents, git, checks, time and people may do to a phase run, as the services write it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from models.consensus.step import (
    ABORT,
    CONTINUE,
    CONTINUE_WAITING,
    OVERRIDE,
    RETRY,
    TAKE_BASE,
    WAIT,
    DecisionKind,
    Wait,
)
from models.consensus.treatments import FREE_RUNS
from models.states import (
    CheckStatus,
    Failure,
    MergeStatus,
    ObjectionStatus,
    PhaseStatus,
    Readiness,
    RebaseStatus,
)
from tests.factories import LONG_AGO, NOW
from tests.unit.consensus_world import (
    Clock,
    DecisionRow,
    ObjectionRow,
    RebaseRow,
    Story,
    World,
    brought_up,
    is_check_live,
)

Move = tuple[str, World]
HOUR = NOW - LONG_AGO
IDLE_SINCE = LONG_AGO - timedelta(hours=1)
CLEAN, DIRTY = "ends", "ends dirty"
WORDS = "a person's own words"
FAILURES = {
    "crashes": Failure.PROCESS_FAILURE,
    "is lost": Failure.LOST,
    "cannot start": Failure.STARTUP,
    "is cut off": Failure.NETWORK,
    "is refused": Failure.AUTH,
    "has no quota": Failure.QUOTA,
    "overflows": Failure.CONTEXT_OVERFLOW,
    "is stopped": Failure.STOPPED,
    "is silent": Failure.TIMEOUT,
}


def moves(story: Story, world: World, waits: Wait) -> Iterator[Move]:
    """Everything that may happen next to a phase run at rest."""
    for at, row in enumerate(world.roles):
        if row.live is not None:
            yield from _ends(story, world, at)
            yield from _reports(story, world, at)
        if not row.is_safe:
            yield f"earlier run of {at} is safe", world.with_role(at, is_safe=True)
    yield from _check_ends(story, world)
    if world.status is PhaseStatus.RUNNING:
        yield from _speech(story, world)
        yield from _system(story, world, waits)
        yield from _orders(story, world)
    for decision in world.decisions:
        if decision.is_pending:
            yield from _answers(story, world, decision)


def _speech(story: Story, world: World) -> Iterator[Move]:
    for at, row in enumerate(world.roles):
        if "message" in story.moves and row.sent < story.max_messages and not row.is_dropped:
            yield f"message to {at}", world.with_role(at, sent=row.sent + 1)
        if row.live is not None and not row.is_dropped:
            yield from _signals(story, world, at)


def _system(story: Story, world: World, waits: Wait) -> Iterator[Move]:
    if world.tip is None:
        clock = Clock.NONE if world.clock is Clock.NONE else Clock.BEGUN
        yield "prepared", world._replace(tip=0, clock=clock)
    yield from _merge_ends(story, world)
    yield from _rebases(story, world)
    if waits.until is not None:
        yield "time passes", _later(world)
    if not waits.on_person:
        yield from _deadlines(world)


def _deadlines(world: World) -> Iterator[Move]:
    """While only a person is waited for the clock stands still."""
    if world.clock is Clock.BEGUN:
        yield "soft deadline", world._replace(clock=Clock.SOFT)
    if world.clock is Clock.CONVERGING:
        yield "hard deadline", world._replace(clock=Clock.HARD)


def _idles(world: World, at: int) -> Move:
    """An agent that did something does nothing from now on, or does something again."""
    row = world.roles[at]
    assert row.live is not None
    is_idle = row.live.active_at is not None
    live = replace(row.live, active_at=None if is_idle else IDLE_SINCE, converge_at=None)
    return f"{at} is active again" if is_idle else f"{at} falls idle", world.with_role(at, live=live)


def _ends(story: Story, world: World, at: int) -> Iterator[Move]:
    row = world.roles[at]
    assert row.live is not None
    yield f"{at} {CLEAN}", _ended(world, at, None, is_dirty=False)
    if row.live.is_cut_short:
        own = world.with_role(at, live=replace(row.live, is_stopping=False, is_cut_short=False))
        yield f"{at} {CLEAN} by itself", _ended(own, at, None, is_dirty=False)
    if DIRTY in story.moves:
        yield f"{at} {DIRTY}", _ended(world, at, None, is_dirty=True)
    for name, failure in FAILURES.items():
        has_spoken = row.live.verdict is not None
        if name in story.moves and not (failure is Failure.STARTUP and has_spoken):
            yield f"{at} {name}", _ended(world, at, failure, is_dirty=False)


def _reports(story: Story, world: World, at: int) -> Iterator[Move]:
    """A result may come as long as its run lives, in a closing phase run too."""
    for rate in (50, 95):
        if f"reports {rate}" in story.moves and world.roles[at].rate != rate:
            yield f"{at} reports {rate}", world.with_role(at, rate=rate)


def _ended(world: World, at: int, failure: Failure | None, *, is_dirty: bool) -> World:
    """As `services.agents.agent_runs.settle` writes it."""
    row = world.roles[at]
    assert row.live is not None
    if row.live.is_stopping and not row.live.is_cut_short and failure is None:
        failure = Failure.TIMEOUT
    run = replace(
        row.live,
        is_live=False,
        is_closed=True,
        failure=failure,
        # Who fails while it is stopped fails by itself.
        is_cut_short=row.live.is_cut_short and failure is None,
        ended_at=NOW,
        # Whoever is out of quota says that it was back long ago.
        retry_at=LONG_AGO if failure is Failure.QUOTA else None,
        active_at=None,
        converge_at=None,
        is_stopping=False,
    )
    world = world.with_role(at, is_rested=row.runs < FREE_RUNS)
    if is_dirty and run.verdict in {None, Readiness.READY}:
        run = replace(run, verdict=None, owes_verdict=True)
    if run.verdict is not None or (failure is None and not run.owes_verdict and not run.is_cut_short):
        return world.with_role(
            at,
            live=None,
            trailing=(),
            handled=row.handled | frozenset(run.causes),
            handled_message=row.cursor,
        )
    is_unpaid = failure is Failure.QUOTA
    return world.with_role(
        at,
        live=None,
        trailing=(*row.trailing, run),
        cursor=row.handled_message,
        runs=max(0, row.runs - is_unpaid),
        quotas=row.quotas + is_unpaid,
    )


def _signals(story: Story, world: World, at: int) -> Iterator[Move]:
    row = world.roles[at]
    assert row.live is not None
    if "asks" in story.moves and not any(d.kind is DecisionKind.QUESTION for d in world.decisions):
        number = len(world.decisions) + 1
        asked = DecisionRow(
            number, f"question:{at}", DecisionKind.QUESTION, (), is_pending=True, options=(WORDS,)
        )
        yield f"{at} asks a person", world._replace(decisions=(*world.decisions, asked))
    if "sync" in story.moves and (seen := brought_up(world, at)) != row.seen:
        yield f"{at} syncs", world.with_role(at, seen=seen)
    if "idle" in story.moves and row.live.verdict is None and not row.live.is_stopping:
        yield _idles(world, at)
    if row.live.verdict is not None and "again" not in story.moves:
        return
    if "new" in story.moves and row.version < story.max_versions:
        yield f"{at} READY, new", _ready(world, at, is_new=True)
    if row.version and row.merge is not MergeStatus.CONFLICTED:
        yield f"{at} READY, unchanged", _ready(world, at, is_new=False)
    if row.merge is MergeStatus.CONFLICTED and row.version < story.max_versions:
        yield f"{at} READY, its conflict gone", _ready(world, at, is_new=False, is_mended=True)
    if "working" in story.moves and (row.live.verdict or not row.live.owes_verdict):
        live = replace(row.live, verdict=None, owes_verdict=True, active_at=None, converge_at=None)
        yield f"{at} WORKING", world.with_role(at, live=live, state=Readiness.WORKING, blocked_on=None)
    if "blocked" in story.moves:
        yield f"{at} BLOCKED", _said(world, at, Readiness.BLOCKED)
    yield from _of_others(story, world, at)


def _of_others(story: Story, world: World, at: int) -> Iterator[Move]:
    row = world.roles[at]
    for other, about in enumerate(world.roles):
        if other == at or about.is_dropped:
            continue
        if "blocked on" in story.moves and about.version <= row.seen[other]:
            yield f"{at} BLOCKED on {other}", _said(world, at, Readiness.BLOCKED, on=other)
        if "objecting" in story.moves and row.seen[other]:
            yield f"{at} OBJECTING to {other}", _objects(world, at, other)


def _said(world: World, at: int, state: Readiness, *, on: int | None = None) -> World:
    row = world.roles[at]
    assert row.live is not None
    live = replace(row.live, verdict=state, active_at=None, converge_at=None)
    return world.with_role(at, live=live, state=state, blocked_on=on, at_verdict=row.seen)


def _ready(world: World, at: int, *, is_new: bool, is_mended: bool = False) -> World:
    row = world.roles[at]
    assert row.live is not None
    changed = []
    for objection in world.objections:
        is_handed = objection.about_role == at and objection.delivered_to == row.live.number
        if is_handed and objection.status is ObjectionStatus.OPEN:
            answered = objection._replace(status=ObjectionStatus.ANSWERED, in_words=not is_new)
            changed.append(answered)
        elif objection.from_role == at and objection.is_live:
            changed.append(objection._replace(status=ObjectionStatus.WITHDRAWN))
        else:
            changed.append(objection)
    world = world._replace(objections=tuple(changed))
    if is_new or is_mended:
        seen = brought_up(world, at) if row.merge is MergeStatus.CONFLICTED else row.seen
        world = world.with_role(at, version=row.version + 1, merge=MergeStatus.PENDING, seen=seen)
    return _said(world, at, Readiness.READY)


def _objects(world: World, at: int, other: int) -> World:
    seen, newest = world.roles[at].seen[other], world.roles[other].version
    status = ObjectionStatus.ANSWERED if newest > seen else ObjectionStatus.OPEN
    standing = [o for o in world.objections if o.is_live and (o.from_role, o.about_role) == (at, other)]
    if not standing:
        row = ObjectionRow(world.raised + 1, at, other, seen, status)
        world = world._replace(objections=(*world.objections, row), raised=row.number)
        return _said(world, at, Readiness.OBJECTING)
    row = standing[0]._replace(version=seen)
    if row.status is ObjectionStatus.ANSWERED:
        upheld = row.upheld + 1 if row.in_words else 0
        row = ObjectionRow(row.number, at, other, seen, status, row.round + 1, upheld=upheld)
    objections = tuple(row if o.number == row.number else o for o in world.objections)
    return _said(world._replace(objections=objections), at, Readiness.OBJECTING)


def _merge_ends(story: Story, world: World) -> Iterator[Move]:
    if world.merging is None or world.tip is None:
        return
    at, version = world.merging
    is_latest = world.roles[at].version == version
    rest = world._replace(merging=None)
    merged = rest._replace(tip=world.tip + 1, tip_owner=at).with_role(at, merged=version)
    yield f"{at} is merged", merged.with_role(at, merge=MergeStatus.MERGED) if is_latest else merged
    if "conflict" in story.moves:
        conflicted = rest.with_role(at, merge=MergeStatus.CONFLICTED) if is_latest else rest
        yield f"{at} conflicts", conflicted


def _rebases(story: Story, world: World) -> Iterator[Move]:
    """As `services.engine.rebases` writes it: a person wishes for the present base, and its merge ends."""
    is_conflicted = world.rebase is not None and world.rebase.status is RebaseStatus.CONFLICTED
    may_come = "rebase" in story.moves and world.tip is not None and world.rebases < story.max_rebases
    if may_come and (world.rebase is None or is_conflicted):
        yield "a person brings the base in", _wished(_withdrawn(world, DecisionKind.REBASE))
    if world.rebase is None or world.tip is None or not world.is_rebasing:
        return
    rest = world._replace(rebase=None)
    merged = rest._replace(tip=world.tip + 1, base=world.rebase.number)
    yield "the base is merged", _withdrawn(merged, DecisionKind.CHECK)
    yield "the base is in already, or cannot be had", rest
    if "conflict" in story.moves:
        row = world.rebase._replace(status=RebaseStatus.CONFLICTED)
        yield "the base conflicts", world._replace(rebase=row)


def _wished(world: World) -> World:
    number = world.rebases + 1
    return world._replace(rebase=RebaseRow(number), rebases=number)


def _withdrawn(world: World, kind: DecisionKind) -> World:
    """Take back the questions that were overtaken."""
    decisions = (replace(d, is_pending=False) if d.kind is kind else d for d in world.decisions)
    return world._replace(decisions=tuple(decisions))


def _check_ends(story: Story, world: World) -> Iterator[Move]:
    if not is_check_live(world) or world.check is None:
        return
    for status in (CheckStatus.GREEN, CheckStatus.RED, CheckStatus.ERROR):
        if status is CheckStatus.GREEN or str(status) in story.moves:
            is_error = status is CheckStatus.ERROR
            errors = world.check.errors + is_error
            check = world.check._replace(status=status, errors=errors, is_fresh=is_error)
            yield f"check {status}", world._replace(check=check)


def _later(world: World) -> World:
    objections = tuple(objection._replace(is_fresh=False) for objection in world.objections)
    check = world.check and world.check._replace(is_fresh=False)
    world = world._replace(objections=objections, check=check)
    for at, row in enumerate(world.roles):
        live = row.live
        if live is not None and live.converge_at is not None:
            live = replace(live, converge_at=LONG_AGO)
        trailing = tuple(replace(run, ended_at=(run.ended_at or NOW) - HOUR) for run in row.trailing)
        world = world.with_role(at, live=live, trailing=trailing, is_rested=True)
    return world


def _answers(story: Story, world: World, decision: DecisionRow) -> Iterator[Move]:
    """As `services.people.decisions.resolve` writes it."""
    for answer in decision.options:
        is_grant = answer in {WAIT, RETRY, CONTINUE_WAITING}
        if is_grant and world.grants >= story.max_grants:
            continue
        if answer == TAKE_BASE and world.rebases >= story.max_rebases:
            continue
        resolved = replace(decision, is_pending=False, resolution=answer)
        after = world._replace(
            decisions=tuple(resolved if d.number == decision.number else d for d in world.decisions),
            grants=world.grants + is_grant,
        )
        if decision.kind is DecisionKind.QUESTION:
            asker = int(decision.key.rpartition(":")[2])
            # The answer is a directive to who asked.
            after = after.with_role(asker, sent=after.roles[asker].sent + 1)
        if decision.kind is DecisionKind.REBASE and answer != ABORT:
            after = after._replace(rebase=None)
            after = _wished(after) if answer == TAKE_BASE else after
        if answer == OVERRIDE:
            after = _overridden(after)
        if answer == CONTINUE_WAITING:
            after = _renewed(after)
        for role in decision.roles:
            after = _answered(after, story.names.index(role), answer, decision.number)
        yield f"{decision.key}: {answer}", after


def _renewed(world: World) -> World:
    for at, row in enumerate(world.roles):
        if row.live is not None and row.live.is_cut_short and row.live.verdict is None:
            live = replace(row.live, is_stopping=False, is_cut_short=False, converge_at=None)
            world = world.with_role(at, live=live)
    return world._replace(clock=Clock.BEGUN)


def _orders(story: Story, world: World) -> Iterator[Move]:
    """As `operator_actions.retry` writes it: a question about the role is answered, else an order noted."""
    for at, row in enumerate(world.roles):
        name = story.names[at]
        is_free = row.live is None and not row.is_dropped and row.dispatched
        is_asked = any(d.is_pending and (name in d.roles or not d.roles) for d in world.decisions)
        if "order" not in story.moves or not is_free or is_asked or world.grants >= story.max_grants:
            continue
        number = len(world.decisions) + 1
        order = DecisionRow(number, f"order:{number}", DecisionKind.ORDER, (name,), False, RETRY)  # noqa: FBT003
        ordered = world._replace(decisions=(*world.decisions, order), grants=world.grants + 1)
        yield f"{at} is ordered to run", _answered(ordered, at, RETRY, number)


def _overridden(world: World) -> World:
    overruled = tuple(
        o._replace(status=ObjectionStatus.OVERRULED) if o.is_live else o for o in world.objections
    )
    return world._replace(objections=overruled)


def _answered(world: World, at: int, answer: str, number: int) -> World:
    row = world.roles[at]
    if answer == CONTINUE:
        return world.with_role(at, is_dropped=True)
    if answer == RETRY:
        return world.with_role(at, owed=number, runs=0, extra_rounds=0)
    if answer == WAIT:
        return world.with_role(at, owed=number, extra_rounds=row.extra_rounds + 1)
    return world
