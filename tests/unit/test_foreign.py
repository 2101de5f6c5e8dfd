"""How text of others is shown: on one line, or behind a mark; and that logs hold to it."""

import logging
import sys

import pytest
import structlog

from egg_tasks import logging as our_logging
from models.foreign import fenced, flat, hanging, indented, named, one_line, page
from tests.hostile_words import ALL_AT_ONCE, BREAKS, HOSTILE, faults


def fail(words: str) -> None:
    raise ValueError(words)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\nb\tc\x1b", r"a\nb\tc\x1b"),
        ("\x9b\u202e\u200b\U000e0041", r"\x9b\u202e\u200b\U000e0041"),
        ("\udc80", r"\udc80"),
        ("Größe, 日本\u3000語", "Größe, 日本\u3000語"),
        ("نمی\u200cرود 👩\u200d💻", "نمی\u200cرود 👩\u200d💻"),
        ("ad\u200dmin", r"ad\u200dmin"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 8 + r"\u0301"),
    ],
)
def test_what_does_not_show_as_itself_stands_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_words_lose_their_white_space_and_nothing_else() -> None:
    assert flat(" one\r\n\ttwo\u2028three \x1b") == r"one two three \x1b"
    assert flat(None) == ""


def test_each_line_stands_behind_a_mark_and_only_a_line_feed_ends_one() -> None:
    assert indented("a\r\n\tb\n") == "    a\n    \tb"
    assert fenced("a\rb\u2028c\n\n# d") == "  > a\\rb\\u2028c\n  > \n  > # d"


def test_a_page_is_made_of_lines_and_of_what_was_made_harmless_before() -> None:
    assert page(["one\ntwo", indented("a\nb"), page(["c", "d"])]) == "one\\ntwo\n    a\n    b\nc\nd"


def test_a_sentence_with_a_log_behind_it_has_the_log_behind_a_mark() -> None:
    assert hanging("error: it ends:\n$ egg up\n\x1b") == "error: it ends:\n    $ egg up\n    \\x1b"


def test_so_many_things_are_named_each_on_one_line() -> None:
    assert named(["a\nb", *"cde"], most=3) == "a\\nb, c, d and 1 more"


@pytest.mark.parametrize("words", [*HOSTILE, ALL_AT_ONCE], ids=lambda words: ascii(words[:40]))
def test_nobody_s_words_begin_a_line_like_ours(words: str) -> None:
    for shown in (one_line(words), flat(words)):
        assert faults("- " + shown) == []
        assert not set(BREAKS) & set(shown)
    assert faults(page([f"head: {words}", fenced(words), indented(words)])) == []


def test_a_log_line_of_ours_stays_one_line_whatever_it_tells(capfd: pytest.CaptureFixture[str]) -> None:
    our_logging.configure()
    try:
        fail(ALL_AT_ONCE)
    except ValueError:
        structlog.get_logger().exception("failed", path=ALL_AT_ONCE.encode(), why=ALL_AT_ONCE)
    structlog.reset_defaults()

    (line,) = capfd.readouterr().err.removesuffix("\n").split("\n")

    assert "event=failed" in line
    assert faults(line) == []


def test_a_traceback_in_a_worker_s_log_has_its_lines_behind_a_mark() -> None:
    try:
        fail(f"no\n[2026-11-25 21:00:00,000: INFO/MainProcess] all is well{ALL_AT_ONCE}")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})

    shown = our_logging.Indenting(logging.Formatter("[now] %(message)s")).format(record)

    assert shown.startswith("[now] failed\n    Traceback")
    assert all(line.startswith("    ") for line in shown.splitlines()[1:])
    assert faults(shown) == []
