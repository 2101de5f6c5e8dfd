"""How answers are printed: tables and lines for people, JSON where it is asked for. rich only for tables.

Nothing reaches a terminal but through here: what others wrote is shown by `models.foreign`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

import click

from cli import formatting, outline, shell, typed
from egg_tasks.client import Json
from models.foreign import Shown, flat, indented, one_line, page

if TYPE_CHECKING:  # agents must start fast
    from rich.console import RenderableType

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
LONGEST_REST = 64 * 1024
"""A line of a program's that is longer is shown before its end."""

Columns = Mapping[str, str | Callable[[Json], object]]
"""Titles, each with the field it shows or how to get at it."""

HANGING = 4
"""So many blanks begin each further line of one that is too long."""


class Written:
    """What this command has written so far."""

    is_document: ClassVar[bool] = False
    """Whether a JSON document is on stdout: a second one would spoil it."""


def is_terminal() -> bool:
    """Whether stdout is a person's screen."""
    return sys.stdout.isatty()


def is_screen() -> bool:
    """Whether stdout is a person's screen on which a cursor can be moved."""
    from rich.console import Console

    return is_terminal() and not Console().is_dumb_terminal


def wants_json(output: str) -> bool:
    """Whether to print JSON: asked for; or an agent asks, whose programs have always read it in a pipe."""
    return output == "json" or (not output and shell.is_agents() and not is_terminal())


def say(*parts: str, err: bool = False) -> None:
    """Print what is said in parts: each is one line, unless it is `Shown`."""
    click.echo(page(parts), err=err)


def say_signed(sign: str, colour: str | None, *parts: str) -> None:
    """The same behind a coloured sign of ours."""
    text = click.style(one_line(sign), fg=colour) + page(parts)
    click.echo(text, color=False if "NO_COLOR" in shell.environ() else None)


def say_coloured(line: Shown) -> None:
    """Print a line with colours of ours in it, which stay where there is no terminal to show them."""
    click.echo(line, color=True if _COLOUR.search(line) else None)


def ask(question: str) -> bool:
    """Ask a person at a terminal; no is what is meant by nothing."""
    return click.confirm(one_line(question), err=True)


def pass_on(text: str, *, is_end: bool = False) -> str:
    """Print what a program wrote, on a terminal its whole lines, indented and without colours; the rest."""
    if not is_terminal():
        sys.stdout.write(text)
        sys.stdout.flush()
        return ""
    lines, line_break, rest = text.rpartition("\n")
    if is_end or len(rest) > LONGEST_REST:
        lines, line_break, rest = text, text, ""
    if line_break:
        say(indented(_COLOUR.sub("", lines)))
    return rest


def write_json(value: object, *, compact: bool = False) -> None:
    """Print one JSON value; what does not show as itself stands escaped in it, which means the same."""
    # JSON has a way of its own to say what the encoding cannot.
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    indent = None if compact else 2
    text = json.dumps(value, ensure_ascii=not is_unicode, indent=indent)
    if page(text.split("\n")) != text:
        text = json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
    Written.is_document = True
    click.echo(text)


def answer(value: object, *sentences: str, output: str) -> None:
    """Print what a command has done: one JSON document if that was asked for, else in sentences."""
    if output == "json":
        write_json(value)
    else:
        say(*sentences)


def write_script(text: str) -> None:
    """Print what a shell is to read, all of it ours, as it is."""
    click.echo(text)


def write_lines(items: Iterable[object]) -> None:
    """Print one JSON value a line."""
    for item in items:
        write_json(item, compact=True)


def write_list(answer: Json, key: str, columns: Columns, *, output: str, nothing: str) -> None:
    """Print the list at *key* of an answer; *nothing* is said where a table would be empty."""
    items = answer.get(key) or []
    if output == "jsonl":
        write_lines(items)
    elif wants_json(output):
        write_json(answer)
    elif items:
        write_table(items, columns, is_table=output == "table")
    else:
        say(typed.hint(nothing), err=True)


def write_record(record: Json, *, output: str) -> None:
    """Print one thing: its fields, a line each, or JSON where that was asked for."""
    if wants_json(output):
        write_json(record)
    else:
        say(*outline.lines(record))


def write_table(items: Iterable[Json], columns: Columns, *, is_table: bool = False) -> None:
    """Print a table on a terminal, or where *is_table*; else lines, one thing a line, without titles."""
    from cli import table

    rows = [[flat(cell(item, show)) for show in columns.values()] for item in items]
    if not (is_table or is_terminal()):
        say(*table.lines(rows))
        return
    from rich.console import Console

    console = Console()
    for line in table.drawn(list(columns), rows, console):
        console.print(line, soft_wrap=True)


def draw(drawn: "RenderableType") -> None:
    """Print what is made of `styled` lines; one too long for a terminal goes on behind a mark of ours."""
    from rich.console import Console, Group
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    for one in drawn.renderables if isinstance(drawn, Group) else [drawn]:
        if not console.is_terminal:
            console.print(one, soft_wrap=True)
            continue
        is_long = isinstance(one, Text) and one.cell_len > console.width
        first, *rest = (
            one.wrap(console, console.width - HANGING) if is_long and isinstance(one, Text) else [one]
        )
        console.print(first, *(Padding(line, (0, 0, 0, HANGING)) for line in rest), sep="\n")


def cell(item: Json, show: str | Callable[[Json], object]) -> str:
    """The text of one cell."""
    return formatting.text_of(item.get(show) if isinstance(show, str) else show(item))
