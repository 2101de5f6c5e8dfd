"""What a prompt says of iterations, and that nobody's words in it pass for ours."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from egg_tasks.prompts import templates
from egg_tasks.prompts.prompt import context, render, signal
from egg_tasks.prompts.templates import sentence
from egg_tasks.services.agents.briefs import LAST_OF_ZERO_TO_ONE
from models.consensus.policy import DEFAULT_CRITERIA, Criteria
from models.consensus.role_kinds import RoleKind
from models.consensus.step import Cause, CauseKind
from models.schemas.brief import (
    Brief,
    Cycle,
    DirectiveText,
    EndText,
    LeftBehind,
    LeftOut,
    ObjectionText,
    RosterEntry,
)
from models.schemas.message import MessageRead, MessageType
from models.schemas.result import field_names
from models.schemas.summons import Summons, Why
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
    cycle = cycle_of(None, 2).model_copy(
        update={"criteria": Criteria(coverage=80), "result_fields": ("status",)}
    )

    text = render(BRIEF.model_copy(update={"cycle": cycle}))

    assert "- Iteration 2 of at most 5. Make it work end to end first.\n" in text
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
    assert templates.sentence("focus", cycle_of(kind, iteration)).startswith(sentence)


def test_what_is_demanded_is_said_in_words() -> None:
    assert sentence("criteria", DEFAULT_CRITERIA) == (
        "test_pass_rate at least 90, coverage at least 80, critical_issues at most 0, at most 3 open issues"
    )
    assert sentence("criteria", Criteria(coverage=99.5)) == "coverage at least 99.5"


def cycle_of(kind: RoleKind | None, iteration: int) -> Cycle:
    """An iteration of five, for a role of a kind."""
    return Cycle(
        kind=kind,
        iteration=iteration,
        most=5,
        is_to_work_first=iteration <= LAST_OF_ZERO_TO_ONE,
        criteria=DEFAULT_CRITERIA,
        result_fields=field_names(kind),
    )


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
        causes=(Cause(CauseKind.UNBLOCKED, role=words, number=1),),
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
        left_behind=LeftBehind(run_id=words, number=1, commit=words, branch=words, kept=words),
        lacking=(words,),
        last_end=EndText(text=words, log_tail=(words, words)),
        feedback=(words,),
        left_out={"messages": LeftOut(number=3, first=1, last=3)},
        cycle=cycle_of(None, 1).model_copy(update={"result_fields": (words,)}),
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


def test_every_cause_has_words_of_its_own() -> None:
    said = [sentence("cause", Cause(kind, number=3)) for kind in CauseKind]

    assert all(said)
    assert len(set(said)) == len(CauseKind)


def test_every_part_that_may_be_cut_says_how_to_get_at_the_rest() -> None:
    parts = ("messages", "directives", "conflicts", "notes", "feedback")

    said = [sentence("left_out", part, LeftOut(number=2)) for part in parts]

    assert len(set(said)) == len(parts)
    with pytest.raises(UndefinedError):
        sentence("left_out", "poems", LeftOut(number=2))


@pytest.mark.parametrize("why", Why)
def test_a_signal_says_what_by_when_and_why(why: Why) -> None:
    said = signal(Summons(MessageType.CONVERGE, AT, why)).split("\n")

    assert said[:2] == ["CONVERGE", "2026-11-26T12:30:00+00:00"]
    assert said[2].endswith(". Write down how far you are, commit, and give your verdict.")
    assert said[3:] == [""]


@pytest.mark.parametrize(
    "way", ["{{ it }}", "{{ it | safe }}", "{{ [it, it] | join('\n') }}", "{{ it ~ '' }}", "{{ say() }}"]
)
@pytest.mark.parametrize("words", [*HOSTILE, ALL_AT_ONCE], ids=lambda words: ascii(words[:40]))
def test_no_expression_of_a_template_lets_anybodys_words_be_more_than_a_line(way: str, words: str) -> None:
    source = "{% macro say() %}{{ it }}\n{{ it }}{% endmacro %}ours " + way
    template = templates.environment().from_string(source)

    said = template.render(it=words)

    assert len(said.splitlines()) == 1
    assert faults(said, ours=frozenset()) == []


@pytest.mark.parametrize("source", ["{{ brief.none }}", "{{ nobody }}", "{{ brief.check_log }}"])
def test_what_is_not_set_or_has_no_value_is_an_error(source: str) -> None:
    template = templates.environment().from_string(source)

    with pytest.raises((UndefinedError, ValueError)):
        template.render(brief=BRIEF)


@pytest.mark.parametrize("source", ["{{ brief.__class__.__mro__ }}", "{{ brief.messages.__class__ }}"])
def test_a_template_reaches_nothing_but_its_facts(source: str) -> None:
    with pytest.raises(SecurityError):
        templates.environment().from_string(source).render(brief=BRIEF)


AT = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
FIRST = BRIEF.model_copy(
    update={
        "pipeline_id": "shop",
        "iteration": 1,
        "role": "coder",
        "branch": "egg/shop/coder",
        "task": "Add a token bucket.\n\nTo the public API.\n",
        "causes": (Cause(CauseKind.FIRST),),
        "soft_deadline_at": AT,
        "roster": (
            RosterEntry(role="coder", required=True, state="WORKING", version=0, needs=(), reviews=()),
            RosterEntry(
                role="tester",
                required=True,
                state="READY",
                version=2,
                needs=("coder",),
                reviews=("coder", "documenter"),
            ),
            RosterEntry(role="linter", required=False, state="BLOCKED", version=0, needs=(), reviews=()),
        ),
    }
)
MESSAGE = message_of("tester").model_copy(
    update={
        "id": 8,
        "to_role": "all",
        "message_type": MessageType.HANDOFF,
        "subject": "",
        "body": "Only a body.",
    }
)
OBJECTION = ObjectionText(
    number=4,
    from_role="tester",
    about_role="coder",
    version=2,
    status="open",
    round=2,
    reason="limit 0 lets one through\n# really",
    answer="",
)
EVERYTHING = FIRST.model_copy(
    update={
        "iteration": 2,
        "round": 4,
        "converge_at": AT,
        "hard_deadline_at": AT,
        "causes": (
            Cause(CauseKind.FIRST),
            Cause(CauseKind.MESSAGE, number=7),
            Cause(CauseKind.UNBLOCKED, role="tester", number=2),
            Cause(CauseKind.UNBLOCKED, role="tester"),
            Cause(CauseKind.STALE, role="tester", number=3),
            Cause(CauseKind.OBJECTION, role="tester", number=4, round=2),
            Cause(CauseKind.ANSWERED, role="linter", number=5),
            Cause(CauseKind.CONFLICT, number=2),
            Cause(CauseKind.CHECK),
            Cause(CauseKind.RETRY, number=3),
            Cause(CauseKind.RETRY, role="coder", number=9),
            Cause(CauseKind.REBASED),
            Cause(CauseKind.RECOVERY, number=3),
        ),
        "objections": (OBJECTION,),
        "messages": (
            MESSAGE.model_copy(
                update={"id": 7, "subject": "Interfaces", "body": "Bucket(limit).\n\nSee docs."}
            ),
            MESSAGE,
            MESSAGE.model_copy(update={"id": 9, "subject": "Only a subject", "body": ""}),
        ),
        "conflicts": ("a.py", "b c.py"),
        "check_log": "x" * 10 + "\n" + "FAILED tests/test_bucket.py\n" * 200,
        "directives": (DirectiveText(number=1, question="Which one?", answer="The first.\nNo other."),),
        "last_end": EndText(
            text="coder failed (run 3): exit code 1", log_tail=("Traceback:", "  KeyError: 'x'")
        ),
        "left_behind": LeftBehind(
            run_id="00000000-0000-0000-0000-000000000007",
            number=3,
            commit="c0ffee" * 6,
            branch="egg/shop/coder-wip",
            kept="a\\nb, c.py",
        ),
        "lacking": ("lib",),
        "left_out": {
            "messages": LeftOut(number=27, first=10, last=36, after=9),
            "directives": LeftOut(number=2),
            "conflicts": LeftOut(number=3),
            "notes": LeftOut(number=4),
            "feedback": LeftOut(number=5),
        },
        "feedback": ("coverage is 10 by tester, at least 80 is asked for",),
        "cycle": cycle_of(RoleKind.DEVELOPER, 2),
    }
)
AGAIN = FIRST.model_copy(
    update={
        "soft_deadline_at": None,
        "roster": (),
        "last_end": EndText(text="coder was lost (run 1)", log_tail=()),
        "objections": (OBJECTION, OBJECTION),
        "branch": "egg/shop/\u202e",
        "left_out": {"messages": LeftOut(number=1, first=3, last=3, after=2)},
        "messages": (MESSAGE,),
    }
)
WRITTEN: Mapping[str, Brief] = {"first": FIRST, "everything": EVERYTHING, "again": AGAIN}
"""Briefs whose prompts are kept, to the byte, in tests/data/prompts/."""


@pytest.mark.parametrize("name", WRITTEN)
def test_a_prompt_is_what_it_was(name: str) -> None:
    kept = (Path(__file__).parents[1] / "data/prompts" / f"{name}.md").read_text(encoding="utf-8")

    assert render(WRITTEN[name]) == kept


def test_the_context_says_what_the_prompt_does() -> None:
    known, text = context(EVERYTHING), render(EVERYTHING)

    sentences = [each.text for each in known.causes]
    sentences += [*known.notes, *known.left_out.values(), str(known.focus), str(known.criteria)]
    assert len(known.notes) == 4
    assert not [each for each in sentences if each not in text]
