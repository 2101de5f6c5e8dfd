"""A small model of the rows of one phase run, hashable, and what the services write for each verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache, cached_property
from operator import mul
from typing import NamedTuple

from models.consensus.policy import PhasePolicy
from models.consensus.snapshot import (
    BASE,
    CheckView,
    Deadlines,
    DecisionView,
    ObjectionView,
    RebaseView,
    ResultView,
    RoleView,
    RunView,
    Snapshot,
)
from models.consensus.step import (
    Advance,
    Ask,
    Assignment,
    Cancel,
    Cause,
    CauseKind,
    Close,
    Converge,
    DecisionKind,
    Dispatch,
    Drop,
    Fail,
    Integrate,
    IntegrateBase,
    Iterate,
    Nudge,
    Restart,
    RunCheck,
    Step,
    StopRun,
)
from models.states import (
    CheckStatus,
    MergeStatus,
    ObjectionStatus,
    PhaseStatus,
    Readiness,
    RebaseStatus,
    StopReason,
)
from tests.factories import LONG_AGO, NOW

SAFE = RunView(1, is_live=False, is_closed=True)
JUST_ENDED = replace(SAFE, ended_at=NOW)
UNSAFE = RunView(0, is_live=False, is_closed=False)


AHEAD = NOW + (NOW - LONG_AGO)


class Clock(StrEnum):
    """How much of a phase run's time is over."""

    NONE = "no deadlines"
    BEGUN = "before the soft deadline"
    SOFT = "after the soft deadline"
    CONVERGING = "asked to converge"
    HARD = "after the hard deadline"

    @property
    def deadlines(self) -> Deadlines:
        """The moments as `decide` sees them."""
        return {
            Clock.NONE: Deadlines(),
            Clock.BEGUN: Deadlines(AHEAD),
            Clock.SOFT: Deadlines(LONG_AGO),
            Clock.CONVERGING: Deadlines(LONG_AGO, LONG_AGO, AHEAD),
            Clock.HARD: Deadlines(LONG_AGO, LONG_AGO, LONG_AGO),
        }[self]


@dataclass(frozen=True)
class Story:
    """What one walk is about: the rules of the phase, and what may happen in it."""

    policy: PhasePolicy
    moves: frozenset[str]
    max_versions: int = 2
    max_grants: int = 1
    """How often a person answers Retry or Wait."""
    max_messages: int = 1
    """How often each role is called."""
    max_rebases: int = 1
    """How often a person brings the present base in."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The roster."""
        return tuple(role.role for role in self.policy.roles)

    @cached_property
    def nothing(self) -> tuple[int, ...]:
        """No version of anybody, and no base that came in."""
        return (0,) * (len(self.names) + 1)

    @cached_property
    def is_watched(self) -> tuple[bool, ...]:
        """By role, whether anybody watches it."""
        return tuple(map(any, zip(*self.watched, strict=True)))

    @cached_property
    def watched(self) -> tuple[tuple[bool, ...], ...]:
        """By role, whose versions it matters to have seen: those it reviews, or all if it may speak of all.

        What one has seen of others is forgotten: it decides nothing. The base, last, matters to all.
        """
        may_speak = bool(self.moves & {"blocked on", "objecting"})
        return tuple(
            (*(role.role != name and (may_speak or name in role.reviews) for name in self.names), True)
            for role in self.policy.roles
        )


class RoleRow(NamedTuple):
    """A role with its versions, its runs, and what its clone holds of the others and, last, of the base."""

    seen: tuple[int, ...]
    at_verdict: tuple[int, ...]
    state: Readiness = Readiness.WORKING
    is_dropped: bool = False
    blocked_on: int | None = None
    version: int = 0
    merge: MergeStatus | None = None
    merged: int = 0
    """The latest version of it in the work branch."""
    sent: int = 0
    cursor: int = 0
    handled_message: int = 0
    dispatched: int = 0
    runs: int = 0
    extra_rounds: int = 0
    quotas: int = 0
    owed: int | None = None
    live: RunView | None = None
    trailing: tuple[RunView, ...] = ()
    handled: frozenset[Cause] = frozenset()
    is_safe: bool = True
    is_rested: bool = True
    """Whether time has passed since its last run, which is looked at once it has run often."""
    rate: int | None = None
    """The test_pass_rate of its result that stands."""


@dataclass(frozen=True)
class DecisionRow(DecisionView):
    """A question with what a person may answer to it: the same key may be asked with other options."""

    options: tuple[str, ...] = ()


class ObjectionRow(NamedTuple):
    """An objection; *is_fresh* while its grace runs."""

    number: int
    from_role: int
    about_role: int
    version: int
    status: ObjectionStatus
    round: int = 1
    is_fresh: bool = True
    delivered_to: int | None = None
    in_words: bool = False
    upheld: int = 0

    @property
    def is_live(self) -> bool:
        """Whether it stands against the phase."""
        return self.status in {ObjectionStatus.OPEN, ObjectionStatus.ANSWERED}


class CheckRow(NamedTuple):
    """The latest check, of the tip it was run on."""

    number: int
    tip: int
    status: CheckStatus
    attempts: int = 1
    errors: int = 0
    is_fresh: bool = False
    """Whether no time has passed since it could not be run."""


class RebaseRow(NamedTuple):
    """The present base on its way into the work branch."""

    number: int
    status: RebaseStatus = RebaseStatus.PENDING


class World(NamedTuple):
    """Every row of a phase run that `decide` depends on."""

    roles: tuple[RoleRow, ...]
    status: PhaseStatus = PhaseStatus.RUNNING
    tip: int | None = 0
    tip_owner: int | None = None
    objections: tuple[ObjectionRow, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    check: CheckRow | None = None
    checks: int = 0
    stop_reason: StopReason | None = None
    merging: tuple[int, int] | None = None
    grants: int = 0
    raised: int = 0
    """Objections so far."""
    iterations_used: int = 1
    clock: Clock = Clock.NONE
    rebase: RebaseRow | None = None
    rebases: int = 0
    """Wishes for the present base so far."""
    base: int = 0
    """The newest rebase that brought something in."""

    @property
    def is_rebasing(self) -> bool:
        """Whether the present base is being merged."""
        return self.rebase is not None and self.rebase.status is RebaseStatus.MERGING

    def with_role(self, at: int, **changes: object) -> "World":
        """The same world with one role changed."""
        row = self.roles[at]._replace(**changes)  # type: ignore[arg-type]
        return self._replace(roles=(*self.roles[:at], row, *self.roles[at + 1 :]))


def beginning(story: Story) -> World:
    """The rows as `phases.begin` writes them."""
    none = story.nothing
    roles = tuple(RoleRow(none, none, is_safe="unsafe" not in story.moves) for _ in story.names)
    clock = Clock.BEGUN if "deadlines" in story.moves else Clock.NONE
    return World(roles, tip=None if "unprepared" in story.moves else 0, clock=clock)


def view(story: Story, world: World) -> Snapshot:
    """The world as `decide` sees it."""
    names = story.names
    check = world.check if world.check and world.check.tip == world.tip else None
    is_old = world.merging is not None and world.roles[world.merging[0]].version != world.merging[1]
    return Snapshot(
        now=NOW,
        status=world.status,
        policy=story.policy,
        roles=tuple(_role_view(story, at, row) for at, row in enumerate(world.roles)),
        tip=None if world.tip is None else f"c{world.tip}",
        tip_owner=None if world.tip_owner is None else names[world.tip_owner],
        objections=tuple(_objection_view(names, row) for row in world.objections),
        decisions=world.decisions,
        check=check and _check_view(check),
        is_check_live=is_check_live(world),
        is_superseded_merging=is_old,
        unclosed_runs=sum(row.live is not None for row in world.roles) + is_check_live(world),
        stop_reason=world.stop_reason,
        results=tuple(
            ResultView(name, test_pass_rate=row.rate)
            for name, row in zip(names, world.roles, strict=True)
            if row.rate is not None and not row.is_dropped
        ),
        iterations_used=world.iterations_used,
        deadlines=world.clock.deadlines,
        rebase=world.rebase and RebaseView(*world.rebase),
        base_number=world.base,
    )


def _check_view(row: CheckRow) -> CheckView:
    ended_at = NOW if row.is_fresh else LONG_AGO
    return CheckView(row.number, f"c{row.tip}", row.status, row.attempts, row.errors, ended_at)


def is_check_live(world: World) -> bool:
    """Whether a check is running, be it of a tip that has moved on."""
    return world.check is not None and world.check.status is CheckStatus.RUNNING


def apply(story: Story, world: World, verdict: Step) -> World:
    """What `services.engine.steps` writes for a step."""
    match verdict:
        case Dispatch(assignments):
            for assignment in assignments:
                world = _dispatch(story, world, assignment)
        case Integrate(role, version):
            at = story.names.index(role)
            world = world.with_role(at, merge=MergeStatus.MERGING)._replace(merging=(at, version))
        case IntegrateBase(number):
            world = world._replace(rebase=RebaseRow(number, RebaseStatus.MERGING))
        case RunCheck():
            world = _check(world)
        case Drop(role):
            world = world.with_role(story.names.index(role), is_dropped=True)
        case Ask():
            world = _asked(world, verdict)
        case Converge() | Nudge() | StopRun():
            world = _in_time(story, world, verdict)
        case Close() | Fail() | Iterate() | Advance() | Restart() | Cancel():
            world = _left(story, world, verdict)
    return world


def _left(story: Story, world: World, verdict: Close | Fail | Iterate | Advance | Restart | Cancel) -> World:
    match verdict:
        case Close() | Fail():
            cancelled = tuple(replace(decision, is_pending=False) for decision in world.decisions)
            reason = verdict.reason if isinstance(verdict, Close) else None
            return world._replace(status=PhaseStatus.CLOSING, decisions=cancelled, stop_reason=reason)
        case Iterate():
            return beginning(story)._replace(tip=0, iterations_used=world.iterations_used + 1)
    return world._replace(status=PhaseStatus.COMPLETE)


def forgetful(story: Story, world: World) -> World:
    """The same world without what can never matter again, so that equal futures are one state.

    Numbers only grow: a cause that speaks of an older version, round, check or run does not come back.
    """
    if world.status is PhaseStatus.COMPLETE:
        return World((), PhaseStatus.COMPLETE)
    if world.status is PhaseStatus.CLOSING:
        none = story.nothing
        roles = tuple(
            RoleRow(none, none, live=row.live and SAFE, is_dropped=row.is_dropped, rate=row.rate)
            if story.policy.convergence
            else RoleRow(none, none, live=row.live and SAFE)
            for row in world.roles
        )
        check = CheckRow(0, 0, CheckStatus.RUNNING) if is_check_live(world) else None
        gate = tuple(replace(d, number=1) for d in world.decisions if d.kind is DecisionKind.GATE)
        reason = world.stop_reason
        if reason and not story.policy.convergence:
            reason = StopReason.CONSENSUS
        used = world.iterations_used
        return World(
            roles, world.status, check=check, decisions=gate, stop_reason=reason, iterations_used=used
        )
    objections = tuple(
        row for row in world.objections if row.is_live or row.status is ObjectionStatus.OVERRULED
    )
    rounds = {row.number: row.round for row in objections if row.is_live}
    versions = {name: row.version for name, row in zip(story.names, world.roles, strict=True)}
    roles = tuple(
        _pared(
            story,
            at,
            row,
            frozenset([c for c in row.handled if _may_come_back(c, row, world, rounds, versions)]),
        )
        for at, row in enumerate(world.roles)
    )
    roles = _in_order(roles)
    tip = world.tip if story.policy.check else world.tip and 0
    owner = world.tip_owner if story.policy.check else None
    return world._replace(roles=roles, objections=objections, tip=tip, tip_owner=owner)


def _in_order(roles: tuple[RoleRow, ...]) -> tuple[RoleRow, ...]:
    """The same roles; of when their last runs failed no more is kept than which were long before which."""
    ended = {row.trailing[-1].ended_at or NOW for row in roles if row.trailing}
    before = sorted(ended - {NOW}, reverse=True)
    at = {NOW: NOW} | {moment: NOW - (NOW - LONG_AGO) * rank for rank, moment in enumerate(before, 1)}
    return tuple(_ranked(row, at) for row in roles)


def _ranked(row: RoleRow, at: Mapping[datetime, datetime]) -> RoleRow:
    if not row.trailing:
        return row
    *earlier, last = row.trailing
    ranked = _ended_at(last, at)
    return row if ranked is last else row._replace(trailing=(*earlier, ranked))


def _ended_at(run: RunView, at: Mapping[datetime, datetime]) -> RunView:
    moment = at[run.ended_at or NOW]
    return run if run.ended_at == moment else replace(run, ended_at=moment)


def _asked(world: World, verdict: Ask) -> World:
    if verdict.kind is DecisionKind.FAILURES:
        cancelled = tuple(replace(decision, is_pending=False) for decision in world.decisions)
        world = world._replace(decisions=cancelled)
    if verdict.kind in {DecisionKind.DEADLINE, DecisionKind.FAILURES}:
        for at in range(len(world.roles)):
            world = _live(world, at, is_stopping=True, is_cut_short=True)
    number = len(world.decisions) + 1
    asked = DecisionRow(
        number, verdict.key, verdict.kind, verdict.roles, is_pending=True, options=verdict.options
    )
    return world._replace(decisions=(*world.decisions, asked))


def _in_time(story: Story, world: World, verdict: Converge | Nudge | StopRun) -> World:
    match verdict:
        case Converge():
            for at in range(len(world.roles)):
                world = _live(world, at, converge_at=NOW)
            return world._replace(clock=Clock.CONVERGING)
        case Nudge(role):
            return _live(world, story.names.index(role), converge_at=NOW)
        case StopRun(role):
            return _live(world, story.names.index(role), is_stopping=True)


def _live(world: World, at: int, **changes: object) -> World:
    """The same world with the live run of one role changed, if it has one."""
    live = world.roles[at].live
    return world.with_role(at, live=live and replace(live, **changes))  # type: ignore[arg-type]


def _pared(story: Story, at: int, row: RoleRow, handled: frozenset[Cause]) -> RoleRow:
    """The same role without the versions it has seen of those that do not matter to it, or no longer do."""
    watched = story.watched[at]
    # A clone is brought up to the work branch before its agent runs, but for one that conflicts.
    is_renewed = row.live is None and "conflict" not in story.moves
    seen = story.nothing if is_renewed else tuple(map(mul, row.seen, watched))
    at_verdict = tuple(map(mul, row.at_verdict, watched))
    merged = row.merged if story.is_watched[at] else 0
    trailing = row.trailing and _counted(row.trailing, row.owed)
    pared = (seen, at_verdict, merged, handled, trailing)
    # As a rule nothing is to be pared, and to make a row of so many fields anew takes long.
    if pared == (row.seen, row.at_verdict, row.merged, row.handled, row.trailing):
        return row
    return row._replace(seen=seen, at_verdict=at_verdict, merged=merged, handled=handled, trailing=trailing)


@cache  # a walk asks a hundred times for each answer
def _counted(trailing: tuple[RunView, ...], owed: int | None) -> tuple[RunView, ...]:
    """A role's runs that gave not what they owed, as they are counted: in any order but for the last of them.

    Those before the one that a person granted are counted no more.
    """
    *earlier, last = trailing
    runs = [replace(run, number=0, ended_at=LONG_AGO, retry_at=None) for run in earlier] + [last]
    granted = [any(_is_of(cause, owed) for cause in run.causes) for run in runs]
    first = granted.index(True) if True in granted else 0
    runs = [replace(run, causes=tuple(cause for cause in run.causes if _is_of(cause, owed))) for run in runs]
    before, since = runs[:first], runs[first:-1]
    if True in granted and since:
        return (*sorted(before, key=str), since[0], *sorted(since[1:], key=str), runs[-1])
    return (*sorted(before, key=str), *sorted(since, key=str), runs[-1])


def _is_of(cause: Cause, decision: int | None) -> bool:
    return cause.role == "decision" and cause.number == decision


def _may_come_back(
    cause: Cause, row: RoleRow, world: World, rounds: dict[int, int], versions: dict[str, int]
) -> bool:
    match cause.kind:
        case CauseKind.STALE | CauseKind.UNBLOCKED:
            return cause.number in {0, versions[cause.role]}
        case CauseKind.CONFLICT:
            return cause.number == row.version
        case CauseKind.OBJECTION | CauseKind.ANSWERED:
            return rounds.get(cause.number) == cause.round
        case CauseKind.MESSAGE:
            return cause.number > row.handled_message
        case CauseKind.CHECK:
            return world.check is not None and cause.number == world.check.number
        case CauseKind.REBASED:
            return cause.number == world.base
        case CauseKind.RETRY if cause.role == "decision":
            return cause.number == row.owed
        case CauseKind.RETRY | CauseKind.RECOVERY:
            return False
        case _:
            return True


def brought_up(world: World, at: int) -> tuple[int, ...]:
    """What a role's clone holds of the others and of the base once the work branch is merged into it."""
    *held, base = world.roles[at].seen
    others = (
        0 if other == at else max(version, row.merged)
        for other, (version, row) in enumerate(zip(held, world.roles, strict=True))
    )
    return (*others, max(base, world.base))


def _dispatch(story: Story, world: World, assignment: Assignment) -> World:
    at = story.names.index(assignment.role)
    row = world.roles[at]
    number = row.dispatched + 1
    owes = any(cause.kind is not CauseKind.MESSAGE for cause in assignment.causes)
    live = RunView(number, is_live=True, is_closed=False, causes=assignment.causes, owes_verdict=owes)
    handed = tuple(
        objection._replace(delivered_to=number)
        if objection.about_role == at and objection.status is ObjectionStatus.OPEN
        else objection
        for objection in world.objections
    )
    # A clone whose own version conflicts cannot be brought up to the work branch for its agent.
    seen = row.seen if row.merge is MergeStatus.CONFLICTED else brought_up(world, at)
    return world._replace(objections=handed).with_role(
        at, dispatched=number, runs=row.runs + 1, live=live, seen=seen, cursor=row.sent
    )


def _check(world: World) -> World:
    tip, old = world.tip or 0, world.check
    if old is None or old.tip != tip:
        row = CheckRow(world.checks + 1, tip, CheckStatus.RUNNING)
        return world._replace(check=row, checks=row.number)
    attempts = old.attempts + (old.status is CheckStatus.RED)
    return world._replace(check=old._replace(status=CheckStatus.RUNNING, attempts=attempts))


def _role_view(story: Story, at: int, row: RoleRow) -> RoleView:
    names = story.names
    has_ended = row.dispatched > (row.live is not None)
    last = (SAFE if row.is_rested else JUST_ENDED) if has_ended else None
    return RoleView(
        policy=story.policy.roles[at],
        position=at,
        state=row.state,
        is_dropped=row.is_dropped,
        blocked_on=None if row.blocked_on is None else names[row.blocked_on],
        version=row.version,
        merge=row.merge,
        conflict_paths=("app.py",) if row.merge is MergeStatus.CONFLICTED else (),
        seen=dict(zip((*names, BASE), row.at_verdict, strict=True)),
        waking_message=row.sent if row.sent > row.handled_message else None,
        dispatched=row.dispatched,
        runs=row.runs,
        extra_rounds=row.extra_rounds,
        owed_by_decision=row.owed,
        live=row.live,
        last=last if row.is_safe else UNSAFE,
        trailing=row.trailing,
        handled=row.handled,
    )


def _objection_view(names: tuple[str, ...], row: ObjectionRow) -> ObjectionView:
    opened_at = NOW if row.is_fresh else LONG_AGO
    return ObjectionView(
        row.number,
        names[row.from_role],
        names[row.about_role],
        row.version,
        row.status,
        row.round,
        opened_at,
        row.upheld,
    )
