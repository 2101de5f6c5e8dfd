"""What a stranger types who guesses a command: the right one is named, ready to be typed."""

from collections.abc import Callable

import click
import pytest

from cli import suggestions, typed
from cli.main import egg as root

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("decision answer 3 yes", "`egg decision resolve 3 yes`"),
        ("pipeline show shop", "`egg pipeline get shop`"),
        ("pipeline show", "`egg pipeline get PIPELINE`"),
        ("list", "`egg pipeline list`"),
        ("ls", "`egg pipeline list`"),
        ("ps", "`egg status`, or `egg agent list PIPELINE`"),
        ("stop", "`egg pipeline cancel PIPELINE`, or `egg agent stop PIPELINE RUN`, or `egg down`"),
        ("cancel X", "`egg pipeline cancel X`"),
        ("cancel 'a b'", "`egg pipeline cancel 'a b'`"),
        ("agents", "`egg agent list PIPELINE`"),
        ("pipelines", "`egg pipeline list`"),
        ("decisions", "`egg decision list`"),
        ("agent ls shop", "`egg agent list shop`"),
        ("agent lgs shop coder", "`egg agent logs shop coder`, or `egg agent list shop coder`"),
        ("pipeline why shop", "`egg why shop`"),
        ("message read", "`egg message poll`, or `egg message list PIPELINE`"),
        ("signal ready", "`egg signal readiness --state [WORKING|READY|BLOCKED|OBJECTING]`"),
        ("wacth", "`egg watch`"),
        ("cancle X", "`egg pipeline cancel X`"),
        ("pipelin", "`egg pipeline`"),
        ("version", "`egg --version`"),
        ("LIST", "`egg pipeline list`"),
    ],
)
def test_who_guesses_a_command_is_told_the_one_there_is(
    line: str, expected: str, egg: Egg, capsys: Captured
) -> None:
    arguments = [word.strip("'") for word in line.replace("'a b'", "'a\x00b'").split()]

    code = egg(*(word.replace("\x00", " ") for word in arguments))

    assert code == 2
    said = capsys.readouterr().err.replace(f"`{typed.egg()} ", "`egg ")
    assert f"Did you mean {expected}?" in said


@pytest.mark.parametrize("line", ["xyzzy", "decision xyzzy"])
def test_what_is_like_nothing_is_not_guessed_at(line: str, egg: Egg, capsys: Captured) -> None:
    assert egg(*line.split()) == 2

    assert "No such command 'xyzzy'.\n" in capsys.readouterr().err


ROWS = [
    (name, word, command)
    for name, words in suggestions.MEANT.items()
    for spellings, commands in words.items()
    for word in spellings
    for command in commands
]


def test_whatever_is_suggested_is_a_command_and_whatever_it_is_for_is_none() -> None:
    names = set(root.list_commands(click.Context(root)))
    missing = [
        command for _, _, command in ROWS if not (command[0] == "-" or suggestions.find(root, command))
    ]
    dead = [(name, word) for name, word, _ in ROWS if word in suggestions.known(root, name)]

    assert (missing, dead) == ([], [])
    assert set(suggestions.MEANT) <= {"", *names}


def test_a_word_means_one_thing_in_each_group() -> None:
    for name, words in suggestions.MEANT.items():
        spellings = [word for each in words for word in each]
        assert len(spellings) == len(set(spellings)), name
