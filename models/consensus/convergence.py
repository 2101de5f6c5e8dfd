"""Whether a phase has reached what its definition asks of its results, and what it lacks for whom."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from models.consensus.policy import Criteria
from models.consensus.role_kinds import RoleKind
from models.consensus.snapshot import ResultView, Snapshot
from models.consensus.step import Advance, Iterate, Shortfall
from models.foreign import NAMED, counted, flat, named
from models.states import PhaseStatus, StopReason

LONGEST = 300
"""So many characters of a failed test, an issue or a blocker are named."""

Rate = Literal["test_pass_rate", "coverage"]


def outcome(snapshot: Snapshot) -> Advance | Iterate:
    """What a closing phase run that is quiet leads to."""
    shortfalls = unmet(snapshot)
    if shortfalls and iterations_left(snapshot) > 0:
        return Iterate(shortfalls)
    return Advance(shortfalls)


def leaves_phase(snapshot: Snapshot) -> bool:
    """Whether a closing phase run, once quiet, is followed by what comes after its phase.

    Not so when it ends badly, or is followed by another iteration.
    """
    ends_well = snapshot.status is PhaseStatus.CLOSING and snapshot.stop_reason is not None
    return ends_well and isinstance(outcome(snapshot), Advance)


def iterations_left(snapshot: Snapshot) -> int:
    """How many iterations may follow this one."""
    return snapshot.policy.max_iterations + snapshot.extra_iterations - snapshot.iterations_used


def unmet(snapshot: Snapshot) -> tuple[Shortfall, ...]:
    """What a phase run that ends well lacks; nothing where a person took it as it is."""
    criteria = snapshot.policy.convergence
    if criteria is None or snapshot.stop_reason in {None, StopReason.ACCEPTED}:
        return ()
    return tuple(_shortfalls(snapshot, criteria))


def feedback(shortfalls: Iterable[Shortfall]) -> Mapping[str, list[str]]:
    """By role, the sentences that are for it."""
    found: dict[str, list[str]] = {}
    for shortfall in shortfalls:
        for role in shortfall.roles:
            found.setdefault(role, []).append(shortfall.text)
    return found


def sentence(shortfalls: Iterable[Shortfall]) -> str:
    """All shortfalls in one sentence."""
    return "; ".join(shortfall.text for shortfall in shortfalls)


def _shortfalls(snapshot: Snapshot, criteria: Criteria) -> Iterator[Shortfall]:
    yield from _too_low(snapshot, "test_pass_rate", criteria.test_pass_rate, _with_failed_tests)
    yield from _too_low(snapshot, "coverage", criteria.coverage, lambda _: "")
    yield from _too_critical(snapshot, criteria.critical_issues)
    yield from _too_open(snapshot, criteria.open_issues)
    for result in snapshot.results:
        for blocker in result.blockers[:NAMED]:
            yield Shortfall(f"{result.role} is blocked: {_line(blocker)}", _requirements(snapshot))
    for objection in snapshot.live_objections:
        text = f"objection {objection.number} of {objection.from_role} to {objection.about_role} stands"
        about = objection.about_role
        yield Shortfall(text, (about,) if about in snapshot.by_name else _required(snapshot))


def _too_low(
    snapshot: Snapshot, name: Rate, wanted: float | None, more: Callable[[ResultView], str]
) -> Iterator[Shortfall]:
    """A rate below what is wanted, by the lowest figure reported."""
    if wanted is None:
        return
    reports: list[tuple[float | None, ResultView]] = [(getattr(one, name), one) for one in snapshot.results]
    rates = [(rate, result) for rate, result in reports if rate is not None]
    if not rates:
        yield _unreported(snapshot, name, f"at least {wanted:g}")
        return
    lowest, result = min(rates, key=lambda reported: reported[0])
    if lowest < wanted:
        text = f"{name} is {lowest:g} by {result.role}, at least {wanted:g} is asked for{more(result)}"
        yield Shortfall(text, _developers(snapshot, result.role))


def _with_failed_tests(result: ResultView) -> str:
    return f"; failed: {_named(result.failed_tests)}" if result.failed_tests else ""


def _too_critical(snapshot: Snapshot, wanted: int | None) -> Iterator[Shortfall]:
    """More critical issues than wanted, by the highest figure reported."""
    if wanted is None:
        return
    reports = [(result.critical_issues, result) for result in snapshot.results]
    counts = [(count, result) for count, result in reports if count is not None]
    if not counts:
        yield _unreported(snapshot, "critical_issues", f"at most {wanted}")
        return
    most, result = max(counts, key=lambda each: each[0])
    if most > wanted:
        issues = f": {_named(result.issues)}" if result.issues else ""
        text = f"critical_issues is {most} by {result.role}, at most {wanted} is asked for{issues}"
        yield Shortfall(text, _developers(snapshot, result.role))


def _too_open(snapshot: Snapshot, wanted: int | None) -> Iterator[Shortfall]:
    """More open issues than wanted: those that roles name, the same words counted once."""
    if wanted is None:
        return
    if not snapshot.results:
        yield _unreported(snapshot, "open issues", f"at most {wanted}")
        return
    issues = tuple(dict.fromkeys(issue for result in snapshot.results for issue in result.issues))
    if len(issues) > wanted:
        reporters = [result.role for result in snapshot.results if result.issues]
        roles = dict.fromkeys(role for name in reporters for role in _developers(snapshot, name))
        are_open = counted(len(issues), "issue is open", "issues are open")
        text = f"{are_open}, at most {wanted} may be: {_named(issues)}"
        yield Shortfall(text, tuple(roles))


def _unreported(snapshot: Snapshot, name: str, wanted: str) -> Shortfall:
    return Shortfall(
        f"nobody reported {name}, {wanted} is asked for: egg result submit", _reporters(snapshot)
    )


def _developers(snapshot: Snapshot, reporter: str) -> tuple[str, ...]:
    """Who mends what a role found wrong: who develops, else whoever that role reviews or needs."""
    if developers := _of_kind(snapshot, RoleKind.DEVELOPER):
        return developers
    policy = snapshot.policy.role(reporter)
    concerned = dict.fromkeys((*policy.reviews, *(need.role for need in policy.needs)))
    present = tuple(role for role in concerned if role in snapshot.by_name)
    others = tuple(role for role in _required(snapshot) if role != reporter)
    return present or others or _everybody(snapshot)


def _requirements(snapshot: Snapshot) -> tuple[str, ...]:
    """Who clears a blocker away."""
    return _of_kind(snapshot, RoleKind.REQUIREMENTS, RoleKind.PLANNER) or _required(snapshot)


def _reporters(snapshot: Snapshot) -> tuple[str, ...]:
    """Who should have reported a figure: who validates, else who reviews, else whoever is there."""
    reviewers = tuple(role.name for role in snapshot.present if role.policy.reviews)
    return _of_kind(snapshot, RoleKind.VALIDATOR) or reviewers or _required(snapshot)


def _of_kind(snapshot: Snapshot, *kinds: RoleKind) -> tuple[str, ...]:
    return tuple(role.name for role in snapshot.present if role.policy.kind in kinds)


def _required(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(role.name for role in snapshot.required) or _everybody(snapshot)


def _everybody(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(role.name for role in snapshot.present)


def _named(words: tuple[str, ...]) -> str:
    return named(tuple(map(_line, words)))


def _line(words: str) -> str:
    """An agent's words on one line."""
    line = flat(words)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
