"""What a prompt says of iterations."""

import pytest

from egg_tasks.prompts.prompt import render
from egg_tasks.services import focus
from models.consensus.policy import DEFAULT_CRITERIA, Criteria
from models.schemas.brief import Brief

BRIEF = Brief(
    pipeline_id="p",
    phase="build",
    iteration=2,
    role="cd",
    run_id="r",
    round=1,
    branch="egg/p/cd",
    work_branch="egg/p/work",
    task="Do it.",
    roster=(),
    causes=(),
    objections=(),
    messages=(),
    conflicts=(),
    check_log=None,
    notes=(),
    started_at=None,
    soft_deadline_at=None,
    converge_at=None,
    hard_deadline_at=None,
)


def test_a_prompt_says_nothing_of_iterations_where_there_are_none() -> None:
    text = render(BRIEF)

    assert "iteration" not in text
    assert "egg result" not in text


def test_a_prompt_hands_over_what_the_last_iteration_left() -> None:
    text = render(BRIEF.model_copy(update={"feedback": ("coverage is 10",)}))

    assert "## What the last iteration left you\n\n- coverage is 10\n" in text


def test_a_prompt_says_what_this_iteration_is_about_and_how_to_report() -> None:
    repeated = {
        "focus": "Iteration 2 of at most 5.",
        "criteria": "coverage at least 80",
        "result_fields": ("status",),
    }

    text = render(BRIEF.model_copy(update=repeated))

    assert "- Iteration 2 of at most 5.\n" in text
    assert "until its results reach: coverage at least 80.\n" in text
    assert "`egg result submit '{…}'`, a JSON object with\n  `status`.\n" in text


@pytest.mark.parametrize(
    ("role", "iteration", "sentence"),
    [
        ("cd", 1, "Iteration 1 of at most 5. Make it work end to end first: the main path"),
        ("tester", 2, "Iteration 2 of at most 5. Make it work end to end first."),
        ("tester", 3, "Iteration 3 of at most 5. Hold to every criterion."),
        ("vas", 5, "Iteration 5 of at most 5. Hold the whole to every criterion"),
    ],
)
def test_first_it_is_to_work_and_then_every_criterion_counts(
    role: str, iteration: int, sentence: str
) -> None:
    assert focus.directive(role, iteration=iteration, most=5).startswith(sentence)


def test_what_is_demanded_is_said_in_words() -> None:
    assert focus.demands(DEFAULT_CRITERIA) == (
        "test_pass_rate at least 90, coverage at least 80, critical_issues at most 0, at most 3 open issues"
    )
    assert focus.demands(Criteria(coverage=99.5)) == "coverage at least 99.5"
