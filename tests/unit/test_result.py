"""Typed results: what is taken of each role, and what is wrong with the rest."""

import pytest

from models.consensus.role_kinds import RoleKind
from models.consensus.snapshot import ResultView
from models.schemas.fault import Faulty
from models.schemas.result import field_names, validate, view

SAID: dict[str, object] = {"status": "success", "summary": "done"}
VAS = {**SAID, "test_pass_rate": 95, "coverage": 81, "critical_issues": 0, "ready_for_production": True}
CD = {**SAID, "files_changed": 3, "tasks_completed": 2, "tests_passing": 12}


def faults(kind: RoleKind | None, **fields: object) -> dict[str, str]:
    with pytest.raises(Faulty) as caught:
        validate(kind, {**SAID, **fields})
    return {str(fault.path[0]) if fault.path else "": fault.message for fault in caught.value.faults}


def test_any_role_may_say_more_than_is_known() -> None:
    assert validate(None, {**SAID, "mood": {"is": "good"}}) == {**SAID, "mood": {"is": "good"}}


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (None, {"status", "summary"}),
        (RoleKind.REQUIREMENTS, {"status", "summary", "version", "requirements_count", "edge_cases_count"}),
        (RoleKind.PLANNER, {"status", "summary", "plan_version", "task_count", "critical_path_length"}),
        (RoleKind.DEVELOPER, {"status", "summary", "files_changed", "tasks_completed", "tests_passing"}),
        (
            RoleKind.VALIDATOR,
            {"status", "summary", "test_pass_rate", "coverage", "critical_issues", "ready_for_production"},
        ),
    ],
)
def test_every_field_a_role_of_a_kind_owes_is_named(kind: RoleKind | None, missing: set[str]) -> None:
    with pytest.raises(Faulty) as caught:
        validate(kind, {})

    assert {fault.path[0] for fault in caught.value.faults} == missing


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (72, 72.0),
        (72.5, 72.5),
        ("72%", 72.0),
        (" 72.5 % ", 72.5),
        ("36/48", 75.0),
        ("36 of 48 tests", 75.0),
        ("0", 0.0),
        ("n/a", None),
        ("-", None),
        (None, None),
    ],
)
def test_a_percentage_is_taken_as_people_write_it(said: object, meant: float | None) -> None:
    assert validate(None, {**SAID, "coverage": said})["coverage"] == meant


@pytest.mark.parametrize("said", [101, -1, True, "high", "1/0", "200%", []])
def test_what_is_no_percentage_is_refused(said: object) -> None:
    assert faults(None, coverage=said) == {
        "coverage": "must be a percentage from 0 to 100, as 72, 72.5, `72%` or 36/50"
    }


def test_what_cannot_be_kept_is_refused() -> None:
    assert faults(None, coverage=float("nan")) == {"": "must not hold NaN or Infinity: they are no JSON"}


@pytest.mark.parametrize(("said", "meant"), [(3, 3), (3.0, 3), ("3", 3), ("3 files", 3), (["a", "b"], 2)])
def test_a_count_is_taken_as_people_write_it(said: object, meant: int) -> None:
    assert validate(RoleKind.DEVELOPER, {**CD, "files_changed": said})["files_changed"] == meant


@pytest.mark.parametrize("said", [-1, 1.5, True, "some", "-", None, {}, 10**10])
def test_what_is_no_count_is_refused(said: object) -> None:
    assert faults(RoleKind.DEVELOPER, **{**CD, "files_changed": said}) == {
        "files_changed": "must be a whole number, 0 or more"
    }


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ([], []),
        ("[]", []),
        ("none", []),
        (None, []),
        (["none"], []),
        (["a", " b "], ["a", "b"]),
        ("a, `b`", ["a", "b"]),
        ([{"text": "a"}], ['{"text": "a"}']),
    ],
)
def test_a_list_is_taken_as_people_write_it(said: object, meant: list[str]) -> None:
    assert validate(None, {**SAID, "issues": said})["issues"] == meant


def test_what_is_no_list_is_refused() -> None:
    assert faults(None, issues=3) == {"issues": "must be a list, not 3"}


@pytest.mark.parametrize(
    ("said", "meant"), [("12/14", "12/14"), ("yes", True), (True, True), (12, 12), ("80%", 80.0)]
)
def test_passing_tests_are_a_number_a_share_or_all(said: object, meant: object) -> None:
    assert validate(RoleKind.DEVELOPER, {**CD, "tests_passing": said})["tests_passing"] == meant


@pytest.mark.parametrize(("said", "meant"), [("yes", True), ("False", False), (False, False)])
def test_readiness_for_production_is_yes_or_no(said: object, meant: bool) -> None:
    assert (
        validate(RoleKind.VALIDATOR, {**VAS, "ready_for_production": said})["ready_for_production"] is meant
    )


def test_readiness_for_production_is_nothing_else() -> None:
    assert faults(RoleKind.VALIDATOR, **{**VAS, "ready_for_production": "soon"}) == {
        "ready_for_production": "must be true or false"
    }


def test_a_version_may_be_a_number() -> None:
    ra = {**SAID, "version": 2, "requirements_count": 4, "edge_cases_count": 1}

    assert validate(RoleKind.REQUIREMENTS, ra)["version"] == "2"


def test_a_status_is_taken_in_any_case() -> None:
    assert validate(None, {**SAID, "status": " Success "})["status"] == "success"


def test_a_figure_that_cannot_be_had_is_nobodys() -> None:
    assert view("vas", validate(RoleKind.VALIDATOR, {**VAS, "coverage": "n/a"})).coverage is None


def test_decisions_see_the_figures_alone() -> None:
    fields = validate(RoleKind.VALIDATOR, {**VAS, "failed_tests": ["t"], "blockers": "none", "issues": ["i"]})

    assert view("vas", fields) == ResultView("vas", 95.0, 81.0, 0, ("t",), ("i",), ())


def test_what_a_role_must_report_is_named_first() -> None:
    assert set(field_names(None)[:2]) == {"status", "summary"}
