"""What is kept of the end of a program's output."""

from uuid import UUID

import pytest

from models import log_tail

RUN = UUID(int=7)


def kept(log: str) -> tuple[str, ...]:
    return log_tail.lines(log_tail.of(log, run_id=RUN))


def test_the_last_lines_that_say_something_are_kept() -> None:
    assert kept("one\n\n  \ntwo\n   three\n\n\n") == ("one", "two", "   three")


def test_so_many_lines_and_no_more() -> None:
    lines = kept("\n".join(f"line {n}" for n in range(100)))

    assert (len(lines), lines[-1]) == (log_tail.MOST_LINES, "line 99")


def test_a_line_of_a_megabyte_is_cut_with_a_sign() -> None:
    (line,) = kept("x" * 1_000_000)

    assert len(line) == log_tail.LONGEST_LINE
    assert line.endswith(log_tail.CUT)


def test_nothing_is_kept_of_nothing() -> None:
    assert kept("\n \n") == ()


def test_colours_titles_and_null_bytes_are_left_out() -> None:
    assert kept("\x1b[31mred\x1b[0m\x1b]0;title\x07 and\x00 \x1b[2J\x1b[Hgone") == ("red and gone",)


def test_of_a_progress_bar_that_writes_over_itself_the_last_state_is_kept() -> None:
    assert kept(" 10%\r 50%\r100%\r\ndone\r\n") == ("100%", "done")


@pytest.mark.parametrize(
    "line",
    [
        "fatal: https://joe:hunter2hunter2@example.org/x.git",
        "OPENAI_API_KEY=hunter2hunter2",
        "Authorization: Bearer hunter2hunter2",
        '{"password": "hunter2hunter2"}',
        "token hunter2 is sk-ant-api03-hunter2hunter2hunter2",
        "ghp_hunter2hunter2hunter2hunter2",
        "https://example.org/?access_token=hunter2hunter2",
        "x" * 200 + " token=hunter2hunter2hunter2hunter2hunter2hunter2",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(line: str) -> None:
    assert "hunter2hunter2" not in "\n".join(kept(line))


def test_what_is_no_secret_stays() -> None:
    words = "KeyError: 'api_key' in tokens.py line 3; the secret was not set"

    assert kept(words) == (words,)


def test_a_path_into_the_run_s_own_clone_is_as_in_the_repository() -> None:
    line = (
        f'  File "/var/lib/egg/runs/{RUN}/clone/src/a.py", line 3 in /var/lib/egg/runs/{RUN}/checkout-c0f/b'
    )

    assert kept(line) == ('  File "src/a.py", line 3 in b',)


def test_other_paths_stay_as_they_are() -> None:
    line = f"/var/lib/egg/runs/{UUID(int=8)}/clone/a and /var/lib/egg/runs/{RUN}/home/b"

    assert kept(line) == (line,)
