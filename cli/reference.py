"""Writes docs/reference/cli.md from the commands themselves: `make reference`, with the other pages."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

import click

import cli
from cli import exit_codes
from cli.main import SECTIONS, egg

PAGE = Path(cli.__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"

INTRODUCTION = f"""\
# Command line

Written from the commands themselves by `make reference`; a test fails when it is not up to date.

`egg` and `egg-orch` are the same program. stdout is for results, stderr for talk. `NO_COLOR` is respected,
and `EGG_DEBUG=1` adds the traceback to the sentence a bug gets.

A list is a table on a terminal: nothing in it is cut, and a column for which there is no room is written
beneath its row. In a pipe it is lines, one thing a line and without titles: two blanks or more part the
columns, `-` stands for an empty one, and what one types (id, run, number) is the first:

    egg pipeline list | awk '$2 == "failed" {{print $1}}'
    egg agent list rate-limit | awk -F '  +' '{{print $3, $5}}'

`--table` prints the table there too, `--json` one JSON document and `--jsonl` one object a line. (An agent,
which has EGG_SESSION_TOKEN, gets JSON in a pipe without asking.) The newest, or what waits for you, is first;
a list ends after `--limit` things, and then stderr says what shows the next ones (`--after`; in JSON it is
`next_after`, null at the end). One thing, as `egg pipeline get` shows it, has a line a field; its JSON is
there with `--json` alone.

{fill(exit_codes.line(exit_codes.MEANINGS), 110)}

Every command says below which of them it gives; without a word they are
{exit_codes.line(exit_codes.EVERYWHERE).partition(": ")[2]}.

`--json` is there for every command, also for those that change something: stdout is then exactly one JSON
document. Where the command fails, it is `{{"error": {{"message", "exit_code", …}}}}` (with `details` where
there are any: the faults of a file are `details.lines`), and stderr has the same in words. With `--jsonl`
an error is on stderr alone.

Which server: `EGG_ORCHESTRATOR_URL`, with `EGG_OPERATOR_TOKEN` for people and `EGG_SESSION_TOKEN` for
agents (egg gives them theirs); without these the local stack in `EGG_HOME`.

Completion: `egg completion bash|zsh|fish` prints the script, and its help says where to put it. It completes
the names of pipelines, phases, roles, runs and decisions, too.
"""


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and everything below it, with the names one types; hidden ones are left out."""
    yield name, command
    if isinstance(command, click.Group):
        for part, below in command.commands.items():
            if not below.hidden:
                yield from commands(below, f"{name} {part}")


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, section in SECTIONS.items():
        parts.append(f"## {title}\n")
        for name in section:
            top = egg.get_command(click.Context(egg), name)
            if top is not None:
                parts += [_entry(path, command) for path, command in commands(top, f"egg {name}")]
    return "\n".join(parts)


def _entry(path: str, command: click.Command) -> str:
    """One command: how it is typed, what it does, its options."""
    context = click.Context(command, info_name=path, max_content_width=100)
    pieces = " ".join(command.collect_usage_pieces(context))
    records = [
        record
        for option in command.params
        if isinstance(option, click.Option) and (record := option.get_help_record(context))
    ]
    rows = [f"| `{_cell(names)}` | {_cell(text)} |" for names, text in records]
    table = ["| option | |", "|---|---|", *rows, ""] if rows else []
    codes = exit_codes.of(path)
    given = [f"{exit_codes.line(codes)}\n"] if codes != exit_codes.EVERYWHERE else []
    text, _, example = (command.help or "").partition("Example:")
    shown = f"```sh\n{example.strip()}\n```\n" if example else ""
    return "\n".join([f"### `{path} {pieces}`\n", f"{' '.join(text.split())}\n", shown, *table, *given])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
