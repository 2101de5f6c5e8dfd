"""How answers are printed: tables for people, JSON for programs. rich is imported only for a terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping

import click

from cli import typed, words
from egg_tasks.client import Json

Columns = Mapping[str, str | Callable[[Json], object]]
"""Titles, each with the field it shows or how to get at it."""

SHORT = 16
"""Cells up to this length are not broken: states, roles, ids, times."""


def is_terminal() -> bool:
    """Whether stdout is a person's screen."""
    return sys.stdout.isatty()


def wants_json(output: str) -> bool:
    """Whether to print JSON: asked for, or nobody is looking."""
    return bool(output) or not is_terminal()


def write_json(value: object, *, compact: bool = False) -> None:
    """Print one JSON value."""
    # JSON has a way of its own to say what the encoding cannot.
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(value, ensure_ascii=not is_unicode, indent=None if compact else 2))


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
        write_table(items, columns)
    else:
        click.echo(typed.hint(nothing), err=True)


def write_record(record: Json, *, output: str) -> None:
    """Print one thing: its fields on a terminal, else JSON."""
    if wants_json(output):
        write_json(record)
        return
    width = max((len(name) for name in record), default=0)
    for name, value in record.items():
        shown = (
            json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else words.text_of(value)
        )
        click.echo(f"{name:<{width}}  {words.clean(shown)}")


def write_table(items: Iterable[Json], columns: Columns) -> None:
    """Print a table; long cells are folded, never cut, and short ones stay on one line."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [[cell(item, show) for show in columns.values()] for item in items]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title, cells in zip(columns, zip(*rows, strict=True), strict=True):
        is_short = max(len(text) for text in cells) <= SHORT
        table.add_column(title, overflow="fold", no_wrap=is_short)
    for row in rows:
        table.add_row(*(Text(words.clean(text), style=words.style_of(text)) for text in row))
    Console().print(table)


def cell(item: Json, show: str | Callable[[Json], object]) -> str:
    """The text of one cell."""
    return words.text_of(item.get(show) if isinstance(show, str) else show(item))
