"""Every command explains itself, and the reference says the same."""

import click
import pytest

from cli.main import egg
from cli.reference import PAGE, commands, page

COMMANDS = [
    found
    for name in egg.list_commands(click.Context(egg))
    if (top := egg.get_command(click.Context(egg), name))
    for found in commands(top, f"egg {name}")
]
IDS = [path for path, _ in COMMANDS]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=IDS)
def test_every_command_says_what_it_does_and_shows_how_it_is_typed(path: str, command: click.Command) -> None:
    assert command.help, path
    assert any(sign in command.help for sign in ("Example:  ", "The same as: ")), path


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=IDS)
def test_every_option_says_what_it_is_for(path: str, command: click.Command) -> None:
    silent = [
        option.name for option in command.params if isinstance(option, click.Option) and not option.help
    ]

    assert silent == [], path


def test_the_reference_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == page(), "run: make reference"
