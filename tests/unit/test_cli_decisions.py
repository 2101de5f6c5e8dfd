"""What people and agents type about decisions, against a real HTTP server that answers as it is told."""

import json
import subprocess
from collections.abc import Callable

import pytest

from cli import formatting, report
from models.answers import command
from tests.unit.cli_samples import DECISION, FAILURE, PIPELINE, STATUS
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("status", "code"), [("pending", 3), ("resolved", 0), ("cancelled", 0)])
def test_a_question_nobody_has_answered_is_exit_3(
    server: Scripted, egg: Egg, capsys: Captured, status: str, code: int
) -> None:
    server.say(200, "", data={"decision": {**DECISION, "status": status}})

    assert egg("decision", "get", "7", "--json") == code
    assert json.loads(capsys.readouterr().out)["id"] == 7


def test_an_operators_question_is_sent_as_it_was_typed(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(201, "", data={"decision": {"id": 7, "how_to_answer": command(7, "egg")}})

    code = egg(
        *("decision", "create", "demo-1", "--question", "Name?", "--option", "egg", "--option", "hen"),
        *("--deadline", "0.5", "--key", "k", "--free"),
    )

    printed = capsys.readouterr()
    assert (code, printed.out) == (0, "7\n")
    assert 'egg decision resolve 7 "egg"' in printed.err
    assert server.asked[0].path == "/api/v1/pipelines/demo-1/decisions"
    assert server.asked[0].body == {
        "question": "Name?",
        "options": ["egg", "hen"],
        "free": True,
        "after_minutes": 0.5,
        "client_key": "k",
    }


def test_an_agents_question_carries_its_credential_and_a_key_of_its_own(
    server: Scripted, egg: Egg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EGG_OPERATOR_TOKEN")
    monkeypatch.setenv("EGG_SESSION_TOKEN", "secret")
    monkeypatch.setenv("EGG_PIPELINE_ID", "demo-1")
    server.say(201, "", data={"decision": {"id": 7, "default": None}})

    code = egg("decision", "ask", "--question", "Which?")

    assert code == 0
    assert server.asked[0].authorization == "Bearer secret"
    assert len(server.asked[0].body["client_key"]) == 32


def test_resolving_a_free_question_without_an_answer_says_that_words_will_do(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={"decision": {**DECISION, "options": [], "is_free": True}})

    code = egg("decision", "resolve", "7")

    assert code == 2
    assert "Answer with your own words" in capsys.readouterr().err


def test_resolving_says_the_option_that_was_meant(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"decision": DECISION})
    server.say(200, "", data={"decision": {**DECISION, "resolution": "Abort phase"}})

    egg("decision", "resolve", "7", "--resolution", "ab")

    assert capsys.readouterr().out == "decision 7 of demo-1: Abort phase\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("Abort phase",), "Abort phase"),
        (("abort", "PHASE"), "Abort phase"),
        (("con",), "Continue without"),
        (("1",), "Retry (respawn agent)"),
        (("--resolution", "retry"), "Retry (respawn agent)"),
    ],
    ids=" ".join,
)
def test_an_answer_is_an_options_text_number_or_beginning(
    server: Scripted, egg: Egg, typed: tuple[str, ...], meant: str
) -> None:
    server.say(200, "", data={"decision": DECISION})

    egg("decision", "resolve", "7", *typed)

    assert server.asked[1].body == {"resolution": meant}


@pytest.mark.parametrize(
    ("options", "typed", "said"),
    [
        (
            DECISION["options"],
            "Abrot phase",
            'did you mean "Abort phase"? It may be: 1 "Retry (respawn agent)"',
        ),
        (DECISION["options"], "4", "is no answer to decision 7. It may be: 1"),
        (["approve", "approve all"], "app", 'may be "approve", "approve all": say more of it'),
    ],
)
def test_an_answer_that_is_none_is_refused_here_with_what_may_be_meant(
    server: Scripted, egg: Egg, capsys: Captured, *, options: list[str], typed: str, said: str
) -> None:
    server.say(200, "", data={"decision": {**DECISION, "options": options}})

    code = egg("decision", "resolve", "7", typed)

    assert (code, len(server.asked)) == (1, 1)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "typed"), [({"is_free": True}, "2"), ({"status": "resolved"}, "no such option")]
)
def test_own_words_and_late_answers_are_the_servers_to_judge(
    server: Scripted, egg: Egg, more: dict[str, object], typed: str
) -> None:
    server.say(200, "", data={"decision": {**DECISION, **more}})

    egg("decision", "resolve", "7", typed)

    assert server.asked[1].body == {"resolution": typed}


def test_an_answer_is_given_in_one_way(server: Scripted, egg: Egg) -> None:
    assert (egg("decision", "resolve", "7", "a", "--resolution", "b"), server.asked) == (2, [])


def test_a_question_is_shown_with_who_asks_and_every_way_to_answer() -> None:
    asked = {**DECISION, "asked_by": "coder", "options": ["yes"], "default": "yes", "is_free": True}

    assert report.question(asked) == (
        "decision 7, asked by coder: coder failed (exit 1). What now?\n"
        "answer with one of:\n"
        '  egg decision resolve 7 "yes"   (default)\n'
        '  egg decision resolve 7 "…"   (your own words)'
    )


def test_a_question_about_a_failure_shows_the_last_lines_and_the_command_for_the_rest() -> None:
    text = report.question({**DECISION, "options": ["yes"], "failures": [FAILURE]})

    assert (
        "  coder (run 1) wrote last:\n"
        "    Traceback (most recent call last):\n"
        "    KeyError: 'api_key'\n"
        "  all it wrote: egg agent logs demo-1 1a2b3c4d\n"
        "answer with one of:\n"
    ) in text


def test_one_line_that_the_question_ends_with_is_not_shown_again() -> None:
    failed = {**FAILURE, "log_tail": ["boom"]}

    text = report.question({**DECISION, "question": "What now? It wrote last: boom", "failures": [failed]})

    assert text.count("boom") == 1
    assert "egg agent logs demo-1 1a2b3c4d" in text


@pytest.mark.parametrize("text", ["it's", '$(touch "$HOME/pwned")', "`id`", "a\nb", "Ship it!", "\\"])
def test_a_command_may_be_pasted_whoever_wrote_the_option(text: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", f'egg() {{ printf %s "$4"; }}; {command(7, text)}'],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == text


def test_an_answer_that_begins_like_an_option_of_ours_may_be_pasted_too() -> None:
    assert command(7, "--force") == 'egg decision resolve 7 --resolution "--force"'


def test_a_watch_is_exit_3_also_when_the_question_was_answered_in_between(server: Scripted, egg: Egg) -> None:
    server.say(200, "", data={**STATUS, "status": "awaiting_human", "pending_decisions": [DECISION]})
    server.say(200, "", data={"events": [], "next_after": 0, "has_more": False})
    server.say(200, "", data=STATUS)

    assert egg("watch", "demo-1", "--wait") == 3


def test_a_phase_is_advanced(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={"pipeline": PIPELINE})

    egg("phase", "advance", "demo-1", "implement")

    assert server.asked[0].path == "/api/v1/pipelines/demo-1/phases/implement/advance"
    assert capsys.readouterr().out == "demo-1 is running in implement\n"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"options": ["a", "b"], "default": "a"}, "a / b; default a"),
        ({"options": [], "default": None, "is_free": True}, "your own words"),
        ({"status": "defaulted", "resolution": "a"}, "a"),
        ({"status": "cancelled"}, ""),
    ],
)
def test_a_list_shows_the_answer_or_those_there_may_be(changes: dict[str, object], shown: str) -> None:
    assert formatting.answer({**DECISION, **changes}) == shown


def test_a_default_that_will_be_taken_says_when() -> None:
    asked = {**DECISION, "deadline": "2026-11-21T07:31:30+00:00"}

    assert "; default Abort phase, taken at 2026-11-2" in formatting.answer(asked)
