"""What must hold of every verdict and of every state at rest, judged from the rows alone."""

from dataclasses import dataclass

from models.consensus.decide import decide
from models.consensus.step import (
    CONTINUE_WAITING,
    HOLDS_NOBODY,
    RETRY,
    WAIT,
    Advance,
    Ask,
    Assignment,
    CauseKind,
    Close,
    Converge,
    DecisionKind,
    Dispatch,
    Drop,
    Integrate,
    IntegrateBase,
    Iterate,
    Nudge,
    Restart,
    RunCheck,
    Step,
    StopRun,
    Wait,
)
from models.consensus.treatments import MAX_CHECK_ERRORS
from models.states import (
    CheckStatus,
    Failure,
    MergeStatus,
    ObjectionStatus,
    PhaseStatus,
    Readiness,
    RebaseStatus,
    StopReason,
)
from tests.factories import NOW
from tests.unit.consensus_world import (
    CheckRow,
    Clock,
    RoleRow,
    Story,
    World,
    apply,
    forgetful,
    is_check_live,
    view,
)

PASSING = 90
MAX_VERDICTS = 12
"""Verdicts between two outside events, for rosters of up to five roles."""


@dataclass(frozen=True, eq=False)
class Rest:
    """A state in which a phase run waits; the same rows are one object for those who share what is known."""

    world: World
    waits: Wait


def settle(story: Story, world: World, known: dict[World, Rest] | None = None) -> Rest:
    """Decide and apply until there is nothing to do but wait, and hold each verdict against the laws.

    *known* is what was settled before: the same rows are not judged twice.
    """
    known = {} if known is None else known
    passed: list[World] = []
    for _ in range(MAX_VERDICTS):
        world = forgetful(story, world)
        rest = known.get(world)
        if rest is None:
            passed.append(world)
            verdict = _judged(story, world)
            rest = Rest(world, verdict) if isinstance(verdict, Wait) else None
        if rest is not None:
            known.update((each, rest) for each in passed)
            return rest
        world = apply(story, world, verdict)
    raise AssertionError(f"does not come to rest: {verdict}")


def _judged(story: Story, world: World) -> Step:
    if world.status is PhaseStatus.COMPLETE:
        return Wait("over")
    verdict = decide(view(story, world))
    obey(story, world, verdict)
    return verdict


def obey(story: Story, world: World, verdict: Step) -> None:
    """Fail if a verdict breaks a law."""
    is_closing = world.status is PhaseStatus.CLOSING
    may_close = isinstance(verdict, Advance | Iterate | Wait | Restart) or _is_gate(verdict)
    assert not is_closing or may_close, "a closing phase only asks its gate and ends"
    assert is_closing or not _is_gate(verdict), "a gate is asked of a closing phase"
    match verdict:
        case Wait():
            _wait(world, verdict)
            _of_time(world)
            _wakeups(story, world)
        case Dispatch():
            _dispatch(story, world, verdict)
        case Integrate(role, version):
            row = world.roles[story.names.index(role)]
            assert world.merging is None, "one merge at a time"
            assert not world.is_rebasing, "one merge at a time"
            assert (row.version, row.merge) == (version, MergeStatus.PENDING), "the latest version is merged"
        case IntegrateBase(number):
            assert world.merging is None, "one merge at a time"
            assert world.rebase == (number, RebaseStatus.PENDING), "what waits is merged, once"
        case RunCheck(commit):
            assert world.clock is not Clock.HARD or _check_of_tip(world) is None, (
                "no second try after the end"
            )
            assert not is_check_live(world), "one check at a time"
            _of_check(world)
            assert commit == f"c{world.tip}", "the tip is checked"
            but_stale = world.clock in {Clock.CONVERGING, Clock.HARD}
            assert agrees(story, world, but_stale=but_stale), "a check is run when all else holds"
        case Close() | Iterate() | Advance() | Restart():
            _closes(story, world, verdict)
        case Converge() | Nudge() | StopRun() | Ask(kind=DecisionKind.DEADLINE):
            _in_time(story, world, verdict)
        case Drop(role):
            assert not world.roles[story.names.index(role)].is_dropped, "nobody is dropped twice"
        case Ask():
            assert verdict.key not in {decision.key for decision in world.decisions}, "asked once"
            assert verdict.default in set(verdict.options) - {RETRY, WAIT}
            assert set(verdict.roles) <= set(story.names)


def _of_check(world: World) -> None:
    """A check that cannot be run is tried again later, unless a person has let it be tried as often again."""
    check = _check_of_tip(world)
    if check is not None and check.status is CheckStatus.ERROR and check.errors % MAX_CHECK_ERRORS:
        assert not check.is_fresh, "tries of a check are spaced"


def _closes(story: Story, world: World, verdict: Close | Iterate | Advance | Restart) -> None:
    ended_well = world.stop_reason in {StopReason.CONSENSUS, StopReason.CONVERGED}
    is_last = world.iterations_used >= story.policy.max_iterations
    match verdict:
        case Close(reason) if reason is not StopReason.ACCEPTED:
            is_late = reason is StopReason.CONVERGED
            assert not is_late or world.clock in {Clock.CONVERGING, Clock.HARD}, (
                "staleness is forgiven after the soft deadline"
            )
            assert agrees(story, world, but_stale=is_late), "consensus means that everybody agrees"
            check = _check_of_tip(world)
            is_green = check is not None and check.status is CheckStatus.GREEN
            assert story.policy.check is None or is_green, "consensus means a green check of the tip"
        case Iterate():
            assert ended_well, "what failed or was accepted is not repeated"
            assert not is_last, "iterations are bounded"
            assert not converges(world), "who has converged is done"
        case Advance() if story.policy.convergence and ended_well:
            assert converges(world) or (is_last and verdict.unmet), "who has not converged goes on"
    gate = story.policy.gate
    answers = [decision.resolution for decision in world.decisions]
    if isinstance(verdict, Restart) and world.status is PhaseStatus.CLOSING:
        assert gate is not None, "only a gate begins a closing phase anew"
        assert answers == [gate.options[1]], "changes were asked for"
    if isinstance(verdict, Advance) and gate and world.stop_reason:
        assert answers == [gate.options[0]], "it was let go"


def _check_of_tip(world: World) -> CheckRow | None:
    return world.check if world.check is not None and world.check.tip == world.tip else None


def _is_gate(verdict: Step) -> bool:
    return isinstance(verdict, Ask) and verdict.kind is DecisionKind.GATE


def agrees(story: Story, world: World, *, but_stale: bool = False) -> bool:
    """Whether everybody required agrees and all is merged, the check left aside, staleness if *but_stale*."""
    present = [(at, row) for at, row in enumerate(world.roles) if not row.is_dropped]
    required = [(at, row) for at, row in present if story.policy.roles[at].required]
    return (
        bool(required)
        and world.rebase is None
        and not any(objection.is_live for objection in world.objections)
        and all(row.merge in {None, MergeStatus.MERGED} for _, row in present)
        and all(_says_yes(world, at, row) for at, row in required)
        and (but_stale or not any(_is_stale(story, world, at) for at, _ in required))
    )


def converges(world: World) -> bool:
    """Whether somebody reports a pass rate, and nobody a low one."""
    rates = [row.rate for row in world.roles if row.rate is not None and not row.is_dropped]
    return bool(rates) and min(rates) >= PASSING


def _says_yes(world: World, at: int, row: RoleRow) -> bool:
    if row.trailing and row.trailing[-1].owes_verdict and not (row.live and row.live.verdict):
        return False
    own = [objection.status for objection in world.objections if objection.from_role == at]
    is_overruled = row.state is Readiness.OBJECTING and ObjectionStatus.OVERRULED in own
    return is_overruled or (row.state is Readiness.READY and row.version > 0)


def _is_stale(story: Story, world: World, at: int) -> bool:
    reviewed = [story.names.index(name) for name in story.policy.roles[at].reviews]
    seen = world.roles[at].at_verdict
    return world.base > seen[-1] or any(
        world.roles[other].version > seen[other] and not world.roles[other].is_dropped for other in reviewed
    )


def _wait(world: World, verdict: Wait) -> None:
    is_live = any(row.live for row in world.roles) or is_check_live(world)
    is_unsafe = any(not row.is_safe for row in world.roles)
    is_merging = world.merging is not None or world.is_rebasing
    is_moving = is_live or is_unsafe or is_merging or world.tip is None
    assert world.rebase is None or world.rebase.status is not RebaseStatus.PENDING or is_merging, (
        "the present base waits for a merge alone"
    )
    is_asked = any(decision.is_pending for decision in world.decisions)
    assert is_moving or is_asked or verdict.until, f"nothing is certain to come: {verdict.why}"
    assert verdict.why, "a wait says what for"
    assert not verdict.on_person or (is_asked and not is_moving), "a person is the last to be waited for"
    has_only_person = is_asked and not is_moving and verdict.until is None
    assert verdict.on_person or not has_only_person, "who waits for a person says so"


def _of_time(world: World) -> None:
    """While agents that failed together are stopped, no time counts."""
    pending = {decision.kind for decision in world.decisions if decision.is_pending}
    is_timed = world.status is PhaseStatus.RUNNING and world.tip is not None
    if is_timed and DecisionKind.FAILURES not in pending:
        assert world.clock is not Clock.SOFT, "after the soft deadline agents are asked to converge"
        is_asked = DecisionKind.DEADLINE in pending
        assert world.clock is not Clock.HARD or is_asked, "after the hard deadline a person is asked"
        lives = [row.live for row in world.roles if row.live is not None]
        assert not is_asked or all(run.is_stopping for run in lives), (
            "after the hard deadline all are stopped"
        )


def _in_time(story: Story, world: World, verdict: Converge | Nudge | StopRun | Ask) -> None:
    match verdict:
        case Converge():
            assert world.clock is Clock.SOFT, "agents are asked to converge once, when it is time"
        case Nudge(role) | StopRun(role):
            live = world.roles[story.names.index(role)].live
            assert live is not None, "who is asked is there"
            assert live.active_at is not None, "who is asked is idle"
            assert not live.is_stopping, "nobody is stopped twice"
            assert isinstance(verdict, Nudge) or live.converge_at is not None, (
                "who is stopped was asked first"
            )
        case Ask():
            assert world.clock is Clock.HARD, "the time is up"
            assert verdict.default in set(verdict.options) - {CONTINUE_WAITING}


def _wakeups(story: Story, world: World) -> None:
    """Nobody is woken more often than the rounds allow, and as often again for each grant of a person.

    A run that fails for want of a quota uses up no round; between two that do so many may.
    """
    most = story.policy.max_rounds * (1 + world.grants)
    most_quotas = (story.policy.max_quota_retries + 1) * (1 + most)
    assert all(row.quotas <= most_quotas for row in world.roles), "wake-ups are bounded"
    assert all(row.dispatched <= most + row.quotas for row in world.roles), "wake-ups are bounded"


def spent(world: World) -> tuple[bool, int, bool, int]:
    """What no event and no verdict gives back; each wake-up adds to it, so nobody is woken in a circle."""
    is_over, is_closing = world.status is PhaseStatus.COMPLETE, world.status is PhaseStatus.CLOSING
    return is_over, world.iterations_used, is_closing, sum(row.dispatched for row in world.roles)


def _dispatch(story: Story, world: World, verdict: Dispatch) -> None:
    policy = story.policy
    held = [d for d in world.decisions if d.is_pending and d.kind not in HOLDS_NOBODY]
    assert not world.is_rebasing, "nobody starts from a base that is about to change"
    live = sum(row.live is not None for row in world.roles)
    limit = 1 if policy.mode.value == "sequential" else policy.max_concurrent_agents
    roles = [assignment.role for assignment in verdict.assignments]
    assert len(set(roles)) == len(roles), "nobody is dispatched twice at once"
    assert live + len(roles) <= limit, "no more agents than may run"
    for assignment in verdict.assignments:
        row = world.roles[story.names.index(assignment.role)]
        assert row.live is None, "one live run a role"
        assert row.is_safe, "the last run is safe first"
        assert not row.is_dropped, "a dropped role does not run"
        assert row.runs < policy.max_rounds + row.extra_rounds, "rounds are bounded"
        assert assignment.causes, "nobody runs for nothing"
        assert not row.handled & set(assignment.causes), "a cause is dealt with once"
        assert all(d.roles and assignment.role not in d.roles for d in held), "asked about, not run"
        _spaced(story, world, assignment)


def _spaced(story: Story, world: World, assignment: Assignment) -> None:
    """Nobody is woken again at once but by a person: after what went wrong, or once it has run often."""
    if any(cause.kind is CauseKind.RETRY and cause.role == "decision" for cause in assignment.causes):
        return
    row, rules = world.roles[story.names.index(assignment.role)], story.policy.role(assignment.role)
    assert row.is_rested, "wake-ups are spaced"
    for other, others in zip(world.roles, story.policy.roles, strict=True):
        last = other.trailing[-1] if other.trailing else None
        is_shared = (rules.agent or rules.role) == (others.agent or others.role)
        is_out = is_shared and last is not None and last.failure is Failure.QUOTA
        if last is not None and (other is row or is_out):
            assert last.is_cut_short or last.ended_at != NOW, "wake-ups are spaced"
