"""What the live screen and the report show of a pipeline."""

from datetime import datetime
from typing import Any

import pytest
from rich.console import Console

from cli import event_stream, report
from cli.watch_screen import Moment, draw, standing
from egg_tasks.client import Json
from tests.hostile_words import ALL_AT_ONCE, HOSTILE, faults
from tests.unit.cli_samples import DECISION, EVENTS, FAILURE, OBJECTION, PHASES, PIPELINE, STATUS, at

NOW = datetime.fromisoformat(at(31, 6))
LOOK = Moment(pipeline=PIPELINE, status=STATUS, phases=PHASES, events=EVENTS)


def drawn(look: Moment, *, width: int = 120, height: int = 40) -> list[str]:
    console = Console(width=width, height=height, force_terminal=False)
    with console.capture() as captured:
        console.print(draw(look, width=width, height=height, now=NOW))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 10), (200, 5)])
def test_the_screen_fits_the_terminal_whatever_happens(width: int, height: int) -> None:
    asked = Moment(
        pipeline=PIPELINE,
        status={**STATUS, "pending_decisions": [DECISION]},
        phases=[*PHASES[:1], {**PHASES[1], "objections": [OBJECTION] * 12}],
        events=EVENTS,
    )

    lines = drawn(asked, width=width, height=height)

    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width


def test_the_screen_begins_with_the_pipeline_its_phases_and_what_it_waits_for() -> None:
    lines = drawn(LOOK)

    assert lines[0] == "demo-1  ● running  1m05s  14 messages"
    assert lines[1] == "✓ plan → ● implement → ○ pr   check red"
    assert lines[2] == "why: documenter is BLOCKED on coder; tester objects to version 1 of coder"


def test_each_role_shows_its_state_version_rounds_agent_and_reason() -> None:
    lines = drawn(LOOK)

    assert lines[5].split() == ["coder", "✓", "READY", "v1", "2", "running", "six", "tests", "pass"]


def test_progress_is_shown_with_its_age_if_it_is_newer_than_the_verdict() -> None:
    def shown(said_at: str) -> str:
        progress = {"text": "tests\n\x1b[2Jwritten", "percent": 40, "at": said_at}
        run = {"role": "coder", "status": "running", "run": "1", "progress": progress}
        state = {**STATUS["concurrent"]["consensus"]["agents"]["coder"], "updated_at": at(30, 50)}
        concurrent = {"consensus": {"agents": {"coder": state}}, "agents": [run]}
        return drawn(Moment(PIPELINE, {**STATUS, "concurrent": concurrent}))[5]

    assert shown(at(31, 0)).endswith("running      40% 6s ago: tests \\x1b[2Jwritten")
    assert shown(at(30, 40)).endswith("running      six tests pass")


def test_a_version_that_is_not_up_to_date_is_marked() -> None:
    assert "v1*" in drawn(LOOK)[6]


def test_an_80_by_24_screen_shows_objections_messages_and_events_together() -> None:
    screen = "\n".join(drawn(LOOK, width=80, height=24))

    assert "#1 tester → coder v1  answered  5000 is not free" in screen
    assert "coder → all PROGRESS shipping" in screen
    assert "consensus.reached" in screen


def test_objections_that_stand_come_first_and_the_others_are_counted() -> None:
    over = [{**OBJECTION, "number": number, "status": "withdrawn"} for number in range(2, 9)]

    screen = drawn(Moment(PIPELINE, STATUS, [{**PHASES[1], "objections": [OBJECTION, *over]}]))

    listed = [line.split()[0] for line in screen if line.startswith("#")]
    assert listed == ["#1", "#8", "#7", "#6"]
    assert "and 4 more" in screen


def test_text_of_agents_cannot_move_the_cursor() -> None:
    assert "\x1b" not in "".join(drawn(LOOK))


def test_a_question_to_a_person_comes_with_the_commands_that_answer() -> None:
    screen = "\n".join(drawn(Moment(PIPELINE, {**STATUS, "pending_decisions": [DECISION]}, PHASES, EVENTS)))

    assert '  egg decision resolve 7 "Retry (respawn agent)"' in screen
    assert '  egg decision resolve 7 "Abort phase"   (default)' in screen


def test_a_question_about_a_failure_shows_what_was_written_last_and_what_shows_the_rest() -> None:
    asked = {**STATUS, "status": "awaiting_human", "pending_decisions": [{**DECISION, "failures": [FAILURE]}]}

    lines = drawn(Moment(PIPELINE, asked, PHASES, EVENTS), width=80, height=24)

    assert "  coder│ KeyError: 'api_key'" in lines
    assert "  all it wrote: egg agent logs demo-1 1a2b3c4d" in lines
    assert "answer with one of:" in lines


def test_of_a_run_that_wrote_nothing_no_log_is_shown_to_look_at() -> None:
    failed = [
        FAILURE,
        {**FAILURE, "role": "tester", "log_tail": [], "logs": "egg agent logs demo-1 4d5e6f7a"},
    ]
    asked = {**STATUS, "status": "awaiting_human", "pending_decisions": [{**DECISION, "failures": failed}]}

    lines = drawn(Moment(PIPELINE, asked, PHASES, EVENTS), width=80, height=30)

    assert "  tester wrote nothing" in lines
    assert not any("4d5e6f7a" in line for line in lines)


def test_a_failed_role_is_shown_as_failed_and_says_why() -> None:
    failed = {"state": "WORKING", "condition": "failed", "reason": "", "why": "failed (run 1): exit code 1"}
    status = {**STATUS, "concurrent": {"consensus": {"agents": {"coder": failed}}, "agents": []}}

    (line,) = [line for line in drawn(Moment(PIPELINE, status)) if line.startswith("coder")]

    assert "✗ failed" in line
    assert line.endswith("failed (run 1): exit code 1")
    assert "WORKING" not in line


def test_a_reason_that_says_the_same_as_the_word_is_left_out() -> None:
    begins = {"state": "WORKING", "condition": "starting", "reason": "", "why": "is about to start"}
    status = {**STATUS, "concurrent": {"consensus": {"agents": {"coder": begins}}, "agents": []}}

    (line,) = [line for line in drawn(Moment(PIPELINE, status)) if line.startswith("coder")]

    assert "starting" in line
    assert "about to start" not in line


def test_an_answer_that_is_too_long_for_the_screen_goes_on_below() -> None:
    asked = {**DECISION, "options": ["word " * 20], "default": None}

    lines = drawn(Moment(PIPELINE, {**STATUS, "pending_decisions": [asked]}), width=60)

    assert "…" not in "".join(line for line in lines if "word" in line)


def test_a_pipeline_that_has_not_started_can_be_shown() -> None:
    pending: Json = {
        "id": "p",
        "status": "pending",
        "current_phase": None,
        "why": None,
        "pending_decisions": [],
    }

    assert drawn(Moment({**PIPELINE, "started_at": None}, pending))[0] == "p  ● pending"


def test_the_status_shows_roles_without_a_clock() -> None:
    console = Console(width=120, force_terminal=False)

    with console.capture() as captured:
        console.print(standing(STATUS))

    assert "OBJECTING" in captured.get()


def test_an_event_is_one_line_whatever_its_text() -> None:
    line = event_stream.line(EVENTS[0] | {"text": "two\nlines \x1b[2J"})

    assert line.endswith("agent.started        implement coder      two lines \\x1b[2J")


def test_the_report_tells_what_it_took_and_where_the_work_is() -> None:
    ended = {**PIPELINE, "status": "complete", "ended_at": at(31, 1)}

    text = report.write(
        ended, PHASES, {"total": 14, "by_type": {"PROGRESS": 14}}, where="It is here.", now=NOW
    )

    assert "demo-1: complete in 1m00s" in text
    assert "plan       consensus  2       1         0           -       5s" in text
    assert "implement  running    6       0         1           1 red   1m00s" in text
    assert "Messages: 14 (14 PROGRESS)" in text
    assert "  #1 tester on coder v1, answered: 5000 is not free\n     answer: it is, by the spec" in text
    assert "  plan  planner  v1  aaaa1111bb  merged  cccc3333dd" in text
    assert text.endswith("\n\nIt is here.\n")


def test_the_report_of_a_pipeline_that_never_ran_is_short() -> None:
    cancelled = {**PIPELINE, "status": "cancelled", "started_at": None, "work_commit": None}

    assert report.write(cancelled, [], {"total": 0}, now=NOW) == "\ndemo-1: cancelled\n\nMessages: 0\n"


def test_work_that_is_merged_nowhere_is_named_at_the_end() -> None:
    left = "coder (run 1): what READY was refused for is set aside on egg/demo-1/salvage/x"

    assert report.leftovers({"leftovers": [left]}) == f"Left out of the work:\n  {left}"
    assert report.leftovers({}) == ""


def hostile(value: Any, words: str) -> Any:
    """What the server tells, with *words* in the place of each text that somebody else wrote."""
    if isinstance(value, dict):
        return {name: words if name in WORDS else hostile(part, words) for name, part in value.items()}
    return [hostile(part, words) for part in value] if isinstance(value, list) else value


WORDS = {
    "reason",
    "answer",
    "why",
    "text",
    "subject",
    "question",
    "summary",
    "unchanged",
    "leftovers",
    "error",
}


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("words", [*HOSTILE, ALL_AT_ONCE], ids=lambda words: ascii(words[:40]))
def test_nobody_s_words_begin_a_line_of_the_screen_or_the_report_like_ours(words: str, width: int) -> None:
    asked = {"options": [words], "failures": [FAILURE | {"log_tail": [words, words]}]}
    look = Moment(
        pipeline=PIPELINE,
        status={
            **hostile(STATUS, words),
            "pending_decisions": [hostile(DECISION, words) | asked],
        },
        phases=[hostile(phase, words) for phase in [*PHASES[:1], {**PHASES[1], "objections": [OBJECTION]}]],
        events=[hostile(event, words) for event in EVENTS],
    )
    ended = {**PIPELINE, "status": "failed", "why": words, "unchanged": [words], "leftovers": [words]}
    ended["failures"] = [FAILURE | {"said": words, "log_tail": [words, words]}]

    shown = [
        "\n".join(drawn(look, width=width)),
        "\n".join(event_stream.line(event) for event in look.events),
        report.question(look.status["pending_decisions"][0]),
        report.write(ended, look.phases, {"total": 0, "by_type": {words: 1}}, now=NOW),
    ]

    assert [faults(text) for text in shown] == [[]] * len(shown)
    assert all("harmless" in text for text in shown)
