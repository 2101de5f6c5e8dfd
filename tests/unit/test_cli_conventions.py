"""What holds for every command there is, and for every one to come."""

import ast
from pathlib import Path

import click
import pytest

import cli
from cli import exit_codes
from cli.main import egg
from cli.reference import commands

LEAVES = {
    path: found
    for name in egg.list_commands(click.Context(egg))
    if (top := egg.get_command(click.Context(egg), name))
    for path, found in commands(top, f"egg {name}")
    if not isinstance(found, click.Group)
}
NAMES = {"pipeline", "pipeline_argument", "role", "from_role", "to_role", "on", "about", "run", "status"}
NAMES |= {"number", "answer", "message_type", "types"}
"""Parameters of these names stand for something that has one of a few words."""


@pytest.mark.parametrize("path", sorted(LEAVES.keys() - exit_codes.WITHOUT_RESULT))
def test_every_command_prints_json_when_asked(path: str) -> None:
    assert "--json" in {spelled for each in LEAVES[path].params for spelled in each.opts}, (
        "see options.output"
    )


@pytest.mark.parametrize("path", sorted(LEAVES.keys() - exit_codes.OF_ANOTHER_PROGRAM))
def test_the_help_of_every_command_says_its_exit_codes(path: str) -> None:
    said = " ".join(LEAVES[path].get_help(click.Context(LEAVES[path], info_name=path)).split())

    assert exit_codes.line(exit_codes.of(path)) in said


def test_whatever_has_a_name_is_completed() -> None:
    silent = [
        f"{path}: {each.name}"
        for path, command in LEAVES.items()
        for each in command.params
        if (each.name in NAMES or each.metavar in {"PHASE", "ID"})
        and each._custom_shell_complete is None
        and not isinstance(each.type, click.Choice)
        and each.opts != ["--after"]
    ]

    assert silent == [], "see cli.completing"


def test_every_exit_code_that_is_described_is_one_of_a_command_there_is() -> None:
    assert exit_codes.OF.keys() <= LEAVES.keys()
    assert {code for codes in exit_codes.OF.values() for code in codes} <= exit_codes.MEANINGS.keys()


def test_a_code_that_the_help_does_not_say_is_a_bug() -> None:
    context = click.Context(LEAVES["egg why"], info_name="why", parent=click.Context(egg, info_name="egg"))

    with pytest.raises(LookupError, match="`egg why` ends with 6"):
        exit_codes.end(context, exit_codes.PARTIAL)


def test_commands_end_with_a_code_in_one_way() -> None:
    """Through `exit_codes.end`, which knows what help and reference say."""
    own_ways = [
        f"{path.name}:{node.lineno}"
        for path in sorted((Path(cli.__file__).parent / "commands").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"ctx.exit", "sys.exit", "exit", "os._exit"}
    ]

    assert own_ways == []


@pytest.mark.parametrize("path", sorted(LEAVES))
def test_the_list_of_commands_says_of_each_a_whole_sentence(path: str) -> None:
    is_folded = path.count(" ") == 1
    room = 75 if is_folded else 80 - len("  readiness  ")

    assert not LEAVES[path].get_short_help_str(room).endswith("..."), "let its first sentence be shorter"
