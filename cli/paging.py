"""Pages of a list: the newest or most urgent first, so many at once, and how to go on."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from cli import render, typed
from egg_tasks.client import Json
from models.errors import NotFound

F = TypeVar("F", bound=Callable[..., Any])
MOST = 500
USUAL = 100
AFTER = "--after"


@dataclass(frozen=True)
class Page:
    """Which part of a list is wanted."""

    limit: int = USUAL
    after: str | None = None

    def of(self, answer: Json, key: str, *, name: Callable[[Json], str]) -> Json:
        """The same answer with this page of the list at *key*, and `next_after`: where the next one begins.

        *name* is what one thing of the list is called after `--after`. `NotFound` when nothing is called so.
        """
        items: Sequence[Json] = answer[key]
        names = [name(item) for item in items]
        if self.after is not None and self.after not in names:
            raise NotFound(f"the list holds no {self.after} to go on after; without --after it begins anew")
        start = 0 if self.after is None else names.index(self.after) + 1
        shown = items[start : start + self.limit]
        is_whole = start + self.limit >= len(items)
        return {**answer, key: shown, "next_after": None if is_whole else names[start + self.limit - 1]}


def paged(command: F) -> F:
    """Add --limit and --after, and hand the command `page`."""

    def page(ctx: click.Context, _param: click.Parameter, after: str | None) -> Page:
        return Page(limit=ctx.params.pop("limit", USUAL), after=after)

    limit = click.option(
        "--limit",
        type=click.IntRange(1, MOST),
        default=USUAL,
        show_default=True,
        is_eager=True,
        help="At most so many.",
    )
    after = click.option(
        AFTER, "page", metavar="ID", callback=page, help="Go on after this one, where a page ended."
    )
    return limit(after(command))


def say_more(answer: Json) -> None:
    """Say what shows the next page, if there is one: what was typed, with another --after."""
    after = answer.get("next_after")
    if after is None:
        return
    words, rest = [], iter(sys.argv[1:])
    for word in rest:
        if word == AFTER:
            next(rest, None)
        elif not word.startswith(f"{AFTER}="):
            words.append(word)
    render.say(typed.hint(f"… more: egg {shlex.join([*words, AFTER, str(after)])}"), err=True)
