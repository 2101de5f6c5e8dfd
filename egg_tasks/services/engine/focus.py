"""What a role of a phase that is repeated is to look at, iteration by iteration."""

from collections.abc import Mapping

from models.consensus.policy import Criteria
from models.consensus.role_kinds import RoleKind

LAST_OF_ZERO_TO_ONE = 2

ZERO_TO_ONE: Mapping[RoleKind | None, str] = {
    None: "Make it work end to end first.",
    RoleKind.REQUIREMENTS: "Settle what the main path needs; rare cases come in later iterations.",
    RoleKind.PLANNER: "Plan the shortest way to something that works end to end.",
    RoleKind.DEVELOPER: "Make it work end to end first: the main path before completeness and polish.",
    RoleKind.VALIDATOR: "See whether the whole works end to end, and report every figure, however low.",
}
ONE_TO_HUNDRED: Mapping[RoleKind | None, str] = {
    None: "Hold to every criterion.",
    RoleKind.REQUIREMENTS: "Close open questions and edge cases; add nothing else.",
    RoleKind.PLANNER: "Plan only what the feedback and the criteria still ask for.",
    RoleKind.DEVELOPER: "Bring every criterion to what is asked for: failing tests, coverage, open issues.",
    RoleKind.VALIDATOR: "Hold the whole to every criterion, and name what is missing.",
}


def directive(kind: RoleKind | None, *, iteration: int, most: int) -> str:
    """The sentence for a role of a kind in an iteration that counts, of so many at most."""
    by_kind = ZERO_TO_ONE if iteration <= LAST_OF_ZERO_TO_ONE else ONE_TO_HUNDRED
    return f"Iteration {iteration} of at most {most}. {by_kind.get(kind, by_kind[None])}"


def iterations(number: int) -> str:
    """So many iterations, in words."""
    return "1 iteration" if number == 1 else f"{number} iterations"


def demands(criteria: Criteria) -> str:
    """What the phase's results must reach, in words."""
    asked = (
        ("test_pass_rate at least {:g}", criteria.test_pass_rate),
        ("coverage at least {:g}", criteria.coverage),
        ("critical_issues at most {}", criteria.critical_issues),
        ("at most {} open issues", criteria.open_issues),
    )
    return ", ".join(words.format(value) for words, value in asked if value is not None)
