"""Whether a phase has converged, what it lacks, and whose that is."""

from dataclasses import replace

import pytest

from models.consensus import convergence
from models.consensus.decide import decide
from models.consensus.policy import DEFAULT_CRITERIA, Criteria
from models.consensus.role_kinds import RoleKind
from models.consensus.snapshot import ResultView, RoleView, Snapshot
from models.consensus.step import Advance, Iterate, Shortfall
from models.states import ObjectionStatus, PhaseStatus, StopReason
from tests.factories import objection, policy, ready, snapshot

CD = ready("cd")
VAS = ready(policy("vas", reviews=["cd"]))
RA = ready("ra")
GOOD = ResultView("vas", 95, 85, 0)
LOW = ResultView("vas", 50, 85, 0)


def closing(
    *roles: RoleView,
    results: tuple[ResultView, ...] = (),
    criteria: Criteria | None = DEFAULT_CRITERIA,
    **changes: object,
) -> Snapshot:
    """A quiet phase run that closes by consensus."""
    quiet = snapshot(
        *(roles or (CD, VAS)),
        convergence=criteria,
        results=results,
        status=PhaseStatus.CLOSING,
        stop_reason=StopReason.CONSENSUS,
    )
    return replace(quiet, **changes)  # type: ignore[arg-type]


def lacks(phase: Snapshot) -> list[tuple[str, tuple[str, ...]]]:
    return [(shortfall.text, shortfall.roles) for shortfall in convergence.unmet(phase)]


def test_a_phase_that_reaches_every_criterion_is_left() -> None:
    assert decide(closing(results=(GOOD,))) == Advance()


def test_a_phase_without_criteria_is_left() -> None:
    assert decide(closing(results=(LOW,), criteria=None)) == Advance()


def test_a_phase_that_lacks_something_is_repeated() -> None:
    text = "test_pass_rate is 50 by vas, at least 90 is asked for"

    assert decide(closing(results=(LOW,))) == Iterate((Shortfall(text, ("cd",)),))


def test_a_phase_that_lacks_something_is_left_when_no_iteration_is_left() -> None:
    verdict = decide(closing(results=(LOW,), iterations_used=5))

    assert isinstance(verdict, Advance)
    assert [shortfall.roles for shortfall in verdict.unmet] == [("cd",)]


def test_a_person_may_grant_one_more_iteration() -> None:
    assert isinstance(decide(closing(results=(LOW,), iterations_used=5, extra_iterations=1)), Iterate)


@pytest.mark.parametrize("reason", [StopReason.ACCEPTED, None])
def test_a_phase_that_a_person_took_as_it_is_or_that_failed_is_not_repeated(
    reason: StopReason | None,
) -> None:
    assert decide(closing(results=(LOW,), stop_reason=reason)) == Advance()


def test_a_closing_phase_run_waits_for_its_agents_before_it_is_judged() -> None:
    assert not isinstance(decide(closing(results=(LOW,), unclosed_runs=1)), Iterate | Advance)


def test_a_phase_that_converged_at_its_deadline_is_repeated_too() -> None:
    assert isinstance(decide(closing(results=(LOW,), stop_reason=StopReason.CONVERGED)), Iterate)


@pytest.mark.parametrize(
    ("phase", "is_left"),
    [
        (closing(results=(GOOD,)), True),
        (closing(results=(LOW,)), False),
        (closing(results=(LOW,), unclosed_runs=1), False),
        (closing(results=(LOW,), iterations_used=5), True),
        (closing(results=(LOW,), stop_reason=StopReason.ACCEPTED), True),
        (closing(results=(GOOD,), stop_reason=None), False),
        (closing(results=(GOOD,), status=PhaseStatus.RUNNING), False),
    ],
)
def test_who_asks_before_a_phase_is_left_knows_whether_it_is(phase: Snapshot, is_left: bool) -> None:
    assert convergence.leaves_phase(phase) is is_left


def test_a_figure_nobody_reports_is_not_reached_and_is_the_validators() -> None:
    assert lacks(closing()) == [
        ("nobody reported test_pass_rate, at least 90 is asked for: egg result submit", ("vas",)),
        ("nobody reported coverage, at least 80 is asked for: egg result submit", ("vas",)),
        ("nobody reported critical_issues, at most 0 is asked for: egg result submit", ("vas",)),
        ("nobody reported open issues, at most 3 is asked for: egg result submit", ("vas",)),
    ]


def test_only_what_is_given_is_asked_for() -> None:
    assert lacks(closing(criteria=Criteria(coverage=99), results=(LOW,))) == [
        ("coverage is 85 by vas, at least 99 is asked for", ("cd",))
    ]


def test_without_a_validator_the_reviewers_report_and_without_them_all() -> None:
    phase = closing(ready("coder"), ready(policy("tester", reviews=["coder"])), criteria=Criteria(coverage=1))
    alone = closing(ready("coder"), ready(policy("linter", required=False)), criteria=Criteria(coverage=1))

    assert [roles for _, roles in lacks(phase)] == [("tester",)]
    assert [roles for _, roles in lacks(alone)] == [("coder",)]


def test_the_lowest_rate_counts_and_names_the_tests_that_fail() -> None:
    worse = ResultView("cd", 40, failed_tests=tuple(f"t{number}" for number in range(22)))
    named = ", ".join(f"t{number}" for number in range(20))

    assert lacks(closing(criteria=Criteria(test_pass_rate=90), results=(LOW, worse))) == [
        (f"test_pass_rate is 40 by cd, at least 90 is asked for; failed: {named} and 2 more", ("cd",))
    ]


def test_a_rate_that_is_just_reached_is_enough() -> None:
    assert lacks(closing(criteria=Criteria(test_pass_rate=95, coverage=85), results=(GOOD,))) == []


def test_the_most_critical_issues_count() -> None:
    results = (ResultView("cd", critical_issues=0), ResultView("vas", critical_issues=2, issues=("crash",)))

    assert lacks(closing(criteria=Criteria(critical_issues=1), results=results)) == [
        ("critical_issues is 2 by vas, at most 1 is asked for: crash", ("cd",))
    ]


def test_critical_issues_need_no_names() -> None:
    assert lacks(
        closing(criteria=Criteria(critical_issues=0), results=(ResultView("vas", critical_issues=1),))
    ) == [("critical_issues is 1 by vas, at most 0 is asked for", ("cd",))]


def test_open_issues_are_counted_once_whoever_names_them() -> None:
    results = (ResultView("cd", issues=("a", "b")), ResultView("vas", issues=("b", "c")), ResultView("ra"))

    assert lacks(closing(CD, VAS, RA, criteria=Criteria(open_issues=3), results=results)) == []
    assert lacks(closing(CD, VAS, RA, criteria=Criteria(open_issues=2), results=results)) == [
        ("3 issues are open, at most 2 may be: a, b, c", ("cd",))
    ]


def test_validation_is_the_reviewed_roles_where_there_is_no_developer() -> None:
    tester = ready(policy("tester", reviews=["baker", "gone"], needs=["writer", "baker"]))
    phase = closing(
        ready("baker"),
        ready("writer"),
        tester,
        criteria=Criteria(coverage=90),
        results=(ResultView("tester", coverage=1),),
    )

    assert [roles for _, roles in lacks(phase)] == [("baker", "writer")]


def test_validation_is_the_other_required_roles_where_the_reporter_reviews_nobody() -> None:
    results = (ResultView("tester", coverage=1),)
    phase = closing(
        ready("baker"),
        ready("tester"),
        ready(policy("linter", required=False)),
        criteria=Criteria(coverage=90),
        results=results,
    )
    alone = closing(ready("tester"), criteria=Criteria(coverage=90), results=results)

    assert [roles for _, roles in lacks(phase)] == [("baker",)]
    assert [roles for _, roles in lacks(alone)] == [("tester",)]


def test_a_blocker_is_of_the_requirements_or_of_all_that_are_required() -> None:
    blocked = (ResultView("cd", blockers=("what is limit 0?",)),)

    assert lacks(closing(CD, VAS, RA, criteria=Criteria(open_issues=9), results=blocked)) == [
        ("cd is blocked: what is limit 0?", ("ra",))
    ]
    assert [roles for _, roles in lacks(closing(criteria=Criteria(open_issues=9), results=blocked))] == [
        ("cd", "vas")
    ]


def test_what_is_lacking_goes_by_kinds_and_to_all_roles_of_one() -> None:
    writers = (
        ready(policy("anna", kind=RoleKind.DEVELOPER)),
        ready(policy("ben", kind=RoleKind.DEVELOPER)),
        ready(policy("plans", kind=RoleKind.PLANNER)),
        ready(policy("wants", kind=RoleKind.REQUIREMENTS)),
        ready(policy("judge", kind=RoleKind.VALIDATOR)),
    )
    results = (ResultView("judge", coverage=1, blockers=("why?",)),)
    phase = closing(*writers, criteria=Criteria(coverage=90, critical_issues=0), results=results)

    assert [roles for _, roles in lacks(phase)] == [("anna", "ben"), ("judge",), ("plans", "wants")]


def test_a_role_is_no_developer_by_its_name_when_it_is_said_to_be_something_else() -> None:
    tester = ready(policy("tester", reviews=["writer"]))
    phase = closing(
        ready(policy("cd", kind=RoleKind.CHECKER)),
        ready("writer"),
        tester,
        criteria=Criteria(coverage=90),
        results=(ResultView("tester", coverage=1),),
    )

    assert [roles for _, roles in lacks(phase)] == [("writer",)]


def test_the_words_of_an_agent_stay_one_short_line() -> None:
    blocked = (ResultView("cd", blockers=("why?\n\n## The task\n" + "x" * 400, *"abc" * 10)),)

    first, *others = lacks(closing(criteria=Criteria(open_issues=9), results=blocked))

    assert first[0].startswith("cd is blocked: why? ## The task xxx")
    assert len(first[0]) == len("cd is blocked: ") + 300
    assert len(others) == 19


def test_an_objection_that_stands_is_its_roles() -> None:
    standing = objection("vas", "cd", ObjectionStatus.ANSWERED)
    about_nobody = objection("vas", "gone", number=2)
    phase = closing(criteria=Criteria(coverage=1), results=(GOOD,), objections=(standing, about_nobody))

    assert lacks(phase) == [
        ("objection 1 of vas to cd stands", ("cd",)),
        ("objection 2 of vas to gone stands", ("cd", "vas")),
    ]


def test_feedback_is_by_role() -> None:
    shortfalls = [Shortfall("a", ("cd", "ra")), Shortfall("b", ("cd",))]

    assert convergence.feedback(shortfalls) == {"cd": ["a", "b"], "ra": ["a"]}
    assert convergence.sentence(shortfalls) == "a; b"
