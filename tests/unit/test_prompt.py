"""What a prompt says of iterations, and that nobody's words in it pass for ours."""

from datetime import UTC, datetime

import pytest

from egg_tasks.prompts.prompt import render
from egg_tasks.services.engine import focus
from models.consensus.policy import DEFAULT_CRITERIA, Criteria
from models.consensus.role_kinds import RoleKind
from models.schemas.brief import Brief, CauseText, DirectiveText, EndText, ObjectionText, RosterEntry
from models.schemas.message import MessageRead, MessageType
from tests.hostile_words import ALL_AT_ONCE, HOSTILE, faults

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


def test_a_prompt_shows_how_the_last_run_ended_and_quotes_what_it_wrote() -> None:
    end = EndText(text="coder failed (run 1): exit code 1", log_tail=("Traceback:", "KeyError: 'x'"))

    text = render(BRIEF.model_copy(update={"last_end": end}))

    said = "- coder failed (run 1): exit code 1. It wrote last:\n  > Traceback:\n  > KeyError: 'x'\n"
    assert f"## How your last run ended\n\n{said}" in text


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
    ("kind", "iteration", "sentence"),
    [
        (RoleKind.DEVELOPER, 1, "Iteration 1 of at most 5. Make it work end to end first: the main path"),
        (RoleKind.TESTER, 2, "Iteration 2 of at most 5. Make it work end to end first."),
        (None, 3, "Iteration 3 of at most 5. Hold to every criterion."),
        (RoleKind.VALIDATOR, 5, "Iteration 5 of at most 5. Hold the whole to every criterion"),
    ],
)
def test_first_it_is_to_work_and_then_every_criterion_counts(
    kind: RoleKind | None, iteration: int, sentence: str
) -> None:
    assert focus.directive(kind, iteration=iteration, most=5).startswith(sentence)


def test_what_is_demanded_is_said_in_words() -> None:
    assert focus.demands(DEFAULT_CRITERIA) == (
        "test_pass_rate at least 90, coverage at least 80, critical_issues at most 0, at most 3 open issues"
    )
    assert focus.demands(Criteria(coverage=99.5)) == "coverage at least 99.5"


def message_of(words: str) -> MessageRead:
    """A message that holds *words* wherever it holds text."""
    return MessageRead(
        id=1,
        pipeline_id=words,
        phase=words,
        iteration=1,
        from_role=words,
        to_role=words,
        message_type=MessageType.STATUS,
        subject=words,
        body=words,
        metadata={},
        in_reply_to=None,
        timestamp=datetime(2026, 11, 25, tzinfo=UTC),
    )


def full_of(words: str) -> Brief:
    """A brief that holds *words* wherever it holds text."""
    return Brief(
        pipeline_id=words,
        phase=words,
        iteration=2,
        role=words,
        run_id=words,
        round=1,
        branch=words,
        work_branch=words,
        task=words,
        roster=(
            RosterEntry(role=words, required=True, state=words, version=1, needs=(words,), reviews=(words,)),
        ),
        causes=(CauseText(kind=words, text=words),),
        objections=(
            ObjectionText(
                number=1,
                from_role=words,
                about_role=words,
                version=1,
                status=words,
                round=1,
                reason=words,
                answer=words,
            ),
        ),
        directives=(DirectiveText(number=1, question=words, answer=words),),
        messages=(message_of(words),),
        conflicts=(words,),
        check_log=words,
        notes=(words,),
        last_end=EndText(text=words, log_tail=(words, words)),
        feedback=(words,),
        left_out={"messages": words},
        focus=words,
        criteria=words,
        result_fields=(words,),
        started_at=None,
        soft_deadline_at=None,
        converge_at=None,
        hard_deadline_at=None,
    )


@pytest.mark.parametrize("words", [*HOSTILE, ALL_AT_ONCE], ids=lambda words: ascii(words[:40]))
def test_nobody_s_words_begin_a_line_of_a_prompt_like_ours(words: str) -> None:
    brief = full_of(words)
    texts = {name for name, field in Brief.model_fields.items() if "datetime" not in str(field.annotation)}
    assert all(getattr(brief, name) for name in texts), "a text of the brief is not tried"

    ours = [line for line in render(full_of("x")).splitlines() if line.startswith("## ")]
    prompt = render(brief)

    assert [line for line in prompt.splitlines() if line.startswith("## ")] == ours
    assert faults(prompt, ours=frozenset(ours)) == []


def test_what_was_said_is_quoted_line_by_line() -> None:
    brief = full_of("one\n\n# two\n")

    text = render(brief)

    assert "## The task\n\n  > one\n  > \n  > # two\n\n## Directives" in text
    assert "\n- 1. STATUS from one\\n\\n# two\\n to one" in text
