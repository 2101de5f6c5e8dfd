"""The kinds of roles: what a role is for, which is what rules read instead of its name."""

from collections.abc import Mapping
from enum import StrEnum


class RoleKind(StrEnum):
    """What a role is for."""

    REQUIREMENTS = "requirements"
    PLANNER = "planner"
    DEVELOPER = "developer"
    TESTER = "tester"
    DOCUMENTER = "documenter"
    REVIEWER = "reviewer"
    INTEGRATOR = "integrator"
    VALIDATOR = "validator"
    CHECKER = "checker"


BY_NAME: Mapping[str, RoleKind] = {
    "ra": RoleKind.REQUIREMENTS,
    "refiner": RoleKind.REQUIREMENTS,
    "ep": RoleKind.PLANNER,
    "architect": RoleKind.PLANNER,
    "cd": RoleKind.DEVELOPER,
    "coder": RoleKind.DEVELOPER,
    "vas": RoleKind.VALIDATOR,
    "tester": RoleKind.TESTER,
    "documenter": RoleKind.DOCUMENTER,
    "integrator": RoleKind.INTEGRATOR,
    "risk_analyst": RoleKind.REVIEWER,
}
"""The kind of a role of which the definition says none; `reviewer…` is a reviewer, every other has none."""
KNOWN_BEFORE = frozenset({"ra", "ep", "cd", "vas"})
"""The only names that meant something before there were kinds: for definitions that were stored then."""


def of(role: str) -> RoleKind | None:
    """The kind of a role of this name that is given none."""
    return BY_NAME.get(role, RoleKind.REVIEWER if role.startswith("reviewer") else None)


def of_stored(role: str) -> RoleKind | None:
    """The kind that a role of this name had when a definition did not say it."""
    return BY_NAME[role] if role in KNOWN_BEFORE else None
