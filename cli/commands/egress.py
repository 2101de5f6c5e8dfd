"""egg egress: the hosts that agents of a pipeline reached by the gateway, or were refused."""

import click

from cli import formatting, options, paging, render, server
from cli.paging import Page
from egg_tasks.client import Json

COLUMNS: render.Columns = {
    "HOST": lambda one: f"{one['host']}:{one['port']}" if one["host"] else "(others)",
    "BECAME": "passage",
    "TIMES": "number",
    "ROLE": "role",
    "LAST": lambda one: formatting.moment(one["last_at"]),
    "WHY": lambda one: "not on the list" if one["why"] == "list" else one["why"] and f"is {one['why']}",
}
WEB = {80, 443}


@click.command()
@options.pipeline_argument
@paging.paged
@options.listing
def egress(*, pipeline: str, page: Page, output: str) -> None:
    """List the hosts that agents asked for.

    The most frequent first, with what became of it. Below it, to be pasted into the definition, is the
    allow-list with which all of them may be reached.

    Example:  egg egress rate-limit
    """
    answer = server.operator().get(f"/pipelines/{pipeline}/egress")
    wanted = _wanted(answer)
    answer = page.of(answer, "egress", name=_name)
    nothing = "no agent asked the gateway for a host"
    render.write_list(answer, "egress", COLUMNS, output=output, nothing=nothing)
    paging.say_more(answer)
    if wanted and not output:
        entries = ", ".join(wanted)
        render.say(
            f"to allow all of it, in the agent's `isolation`: network: {{allow: [{entries}]}}", err=True
        )


def _name(one: Json) -> str:
    return f"{one['role']}/{one['host']}:{one['port']}/{one['passage']}"


def _wanted(answer: Json) -> list[str]:
    """The entries that allow all that was asked for, but what stands for an address of the local network."""
    asked = [one for one in answer["egress"] if one["host"] and one["why"] in {"", "list"}]
    return sorted({one["host"] if one["port"] in WEB else f"{one['host']}:{one['port']}" for one in asked})
