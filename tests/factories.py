"""Builders of phase runs as `decide` sees them, for tests that name only what they are about."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from models.consensus import role_kinds
from models.consensus.policy import (
    CheckPolicy,
    Criteria,
    GatePolicy,
    Mode,
    NeedPolicy,
    OnFailure,
    PhasePolicy,
    RolePolicy,
)
from models.consensus.role_kinds import RoleKind
from models.consensus.snapshot import (
    CheckView,
    DecisionView,
    ObjectionView,
    RoleView,
    RunView,
    Snapshot,
)
from models.consensus.step import Cause, CauseKind, DecisionKind
from models.states import CheckStatus, Failure, MergeStatus, ObjectionStatus, PhaseStatus, Readiness

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
TIP = "c0ffee0000000000"
FIRST = Cause(CauseKind.FIRST)


def policy(
    name: str,
    *,
    required: bool = True,
    needs: Iterable[str | NeedPolicy] = (),
    reviews: Iterable[str] = (),
    on_failure: OnFailure = OnFailure.ASK,
    agent: str = "",
    kind: RoleKind | None = None,
) -> RolePolicy:
    """The rules of one role; a need that is a name is a soft one, and its kind the one its name means."""
    wanted = tuple(need if isinstance(need, NeedPolicy) else NeedPolicy(need) for need in needs)
    return RolePolicy(name, required, wanted, tuple(reviews), on_failure, agent, kind or role_kinds.of(name))


def fresh(rules: str | RolePolicy, **changes: object) -> RoleView:
    """A role that has not run yet."""
    view = RoleView(policy=policy(rules) if isinstance(rules, str) else rules, position=0)
    return replace(view, **changes)  # type: ignore[arg-type]


def ran(rules: str | RolePolicy, state: Readiness, **changes: object) -> RoleView:
    """A role whose first run ended after it had said what it is."""
    view = fresh(
        rules,
        state=state,
        dispatched=1,
        runs=1,
        last=run(verdict=state, causes=(FIRST,)),
        handled=frozenset({FIRST}),
    )
    return replace(view, **changes)  # type: ignore[arg-type]


def ready(
    rules: str | RolePolicy,
    *,
    version: int = 1,
    seen: Mapping[str, int] | None = None,
    merge: MergeStatus = MergeStatus.MERGED,
    **changes: object,
) -> RoleView:
    """A role that is READY at a version, merged unless said otherwise."""
    return ran(rules, Readiness.READY, version=version, merge=merge, seen=seen or {}, **changes)


def unready(rules: str | RolePolicy, *trailing: RunView, **changes: object) -> RoleView:
    """A role whose runs, all of them given, ended without what they owed."""
    count = len(trailing)
    view = fresh(rules, dispatched=count, runs=count, last=trailing[-1], trailing=trailing)
    return replace(view, **changes)  # type: ignore[arg-type]


def running(view: RoleView, *causes: Cause, verdict: Readiness | None = None) -> RoleView:
    """The same role with a live run."""
    number = view.dispatched + 1
    live = RunView(number, is_live=True, is_closed=False, causes=causes, verdict=verdict, owes_verdict=True)
    return replace(view, live=live, dispatched=number, runs=view.runs + 1)


def run(
    number: int = 1,
    *,
    failure: Failure | None = None,
    verdict: Readiness | None = None,
    causes: tuple[Cause, ...] = (),
    owes_verdict: bool = True,
    is_closed: bool = True,
    ended_at: datetime | None = LONG_AGO,
    retry_at: datetime | None = None,
    how: str = "",
    last_line: str = "",
) -> RunView:
    """A run that has ended."""
    return RunView(
        number,
        is_live=False,
        is_closed=is_closed,
        causes=causes,
        verdict=verdict,
        owes_verdict=owes_verdict,
        failure=failure,
        ended_at=ended_at,
        retry_at=retry_at,
        how=how,
        last_line=last_line,
    )


def objection(
    from_role: str,
    about_role: str,
    status: ObjectionStatus = ObjectionStatus.OPEN,
    *,
    number: int = 1,
    version: int = 1,
    round: int = 1,  # noqa: A002 - the field's own name
    opened_at: datetime = LONG_AGO,
    upheld_over_words: int = 0,
) -> ObjectionView:
    """An objection, open and past its grace unless said otherwise."""
    return ObjectionView(number, from_role, about_role, version, status, round, opened_at, upheld_over_words)


def decision(
    key: str,
    *roles: str,
    number: int = 1,
    resolution: str | None = None,
    kind: DecisionKind = DecisionKind.STALL,
) -> DecisionView:
    """A question about roles, pending unless it has a resolution."""
    return DecisionView(number, key, kind, roles, resolution is None, resolution)


def check(status: CheckStatus, *, attempts: int = 1, errors: int = 0) -> CheckView:
    """What the check said of the tip."""
    return CheckView(7, TIP, status, attempts, errors, LONG_AGO)


def snapshot(
    *roles: RoleView,
    mode: Mode = Mode.CONCURRENT,
    check_policy: CheckPolicy | None = None,
    gate: GatePolicy | None = None,
    max_concurrent_agents: int = 4,
    max_rounds: int = 6,
    convergence: Criteria | None = None,
    **changes: object,
) -> Snapshot:
    """A running phase run of these roles, in this order."""
    placed = tuple(replace(view, position=position) for position, view in enumerate(roles))
    rules = PhasePolicy(
        "implement",
        tuple(view.policy for view in roles),
        mode=mode,
        check=check_policy,
        gate=gate,
        max_concurrent_agents=max_concurrent_agents,
        max_rounds=max_rounds,
        convergence=convergence,
    )
    whole = Snapshot(now=NOW, status=PhaseStatus.RUNNING, policy=rules, roles=placed, tip=TIP)
    return replace(whole, **changes)  # type: ignore[arg-type]
