"""egg usage: what the agents of a pipeline have used of models, as the gateway counts it."""

from collections.abc import Callable

import click

from cli import formatting, options, paging, render, server
from cli.paging import Page
from egg_tasks.client import Json


def _sum(name: str) -> Callable[[Json], str]:
    """How to show a sum: `?` where something was used and nobody knows how much, `-` for nothing."""

    def shown(one: Json) -> str:
        if one[name] is None:
            return "?" if one["under_way"] or one["part_known"] or one["unknown"] else "-"
        # A program that reads it wants the digits alone.
        return f"{one[name]:,}" if render.is_terminal() else str(one[name])

    return shown


def _beside(one: Json) -> str:
    """What the sums do not say."""
    told = {
        "under way": one["under_way"],
        "failed": one["failed"],
        "cut": one["part_known"],
        "unknown": one["unknown"],
    }
    return ", ".join(f"{number} {word}" for word, number in told.items() if number)


COLUMNS: render.Columns = {
    "ROLE": "role",
    "MODEL": lambda one: f"{one['provider']}/{one['model'] or '(none answered)'}",
    "REQUESTS": "requests",
    "INPUT": _sum("input_tokens"),
    "CACHE READ": _sum("cache_read_tokens"),
    "CACHE WRITTEN": _sum("cache_write_tokens"),
    "OUTPUT": _sum("output_tokens"),
    "TOOK": lambda one: formatting.duration(one["milliseconds"] / 1000),
    "BESIDE": _beside,
}
REASONS = {
    "auth": "it is refused: put another one there",
    "quota": "it has none left",
    "capacity": "too much is asked at once",
}


@click.command()
@options.pipeline_argument
@paging.paged
@options.listing
def usage(*, pipeline: str, page: Page, output: str) -> None:
    """Show what agents have used of models.

    By role and model, in tokens as the provider says them, the most requests first. What is not known is
    counted for itself and never as nothing: requests whose answer was cut, or is none that egg can read.

    Example:  egg usage rate-limit
    """
    answer = server.operator().get(f"/pipelines/{pipeline}/usage")
    holds = answer["holds"]
    answer = page.of(answer, "usage", name=_name)
    render.write_list(
        answer, "usage", COLUMNS, output=output, nothing="no agent asked a model by the gateway"
    )
    paging.say_more(answer)
    for hold in holds if not output else ():
        until = formatting.clock(hold["until"])
        why = f"the provider says {hold['http_status']}, {REASONS[hold['reason']]}"
        render.say(f"the key {hold['credential']} is not asked with until {until}: {why}", err=True)


def _name(one: Json) -> str:
    return f"{one['role']}/{one['provider']}/{one['model']}"
