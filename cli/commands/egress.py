"""egg egress: the hosts that agents of a pipeline reached by the gateway, or were refused."""

import click

from cli import formatting, options, paging, render, server
from cli.paging import Page
from egg_tasks.client import Json

WHYS = {"": "", "list": "not on the list", "setup": "asked by its set-up", "check": "asked by the check"}
COLUMNS: render.Columns = {
    "HOST": lambda one: f"{one['host']}:{one['port']}" if one["host"] else "(others)",
    "BECAME": "passage",
    "TIMES": "number",
    "ROLE": "role",
    "LAST": lambda one: formatting.moment(one["last_at"]),
    "WHY": lambda one: WHYS[one["why"]] if one["why"] in WHYS else f"is {one['why']}",
}
PLACES = {
    "agent": "the agent's `isolation`: network: {{allow: [{}]}}",
    "setup": "`workspace`: network: [{}]",
    "check": "the `isolation` of the phase's check: network: {{allow: [{}]}}",
}
"""Where the definition says what each reaches."""
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
    lists = {of: wanted(answer, of=of) for of in PLACES}
    answer = page.of(answer, "egress", name=_name)
    nothing = "no agent asked the gateway for a host"
    render.write_list(answer, "egress", COLUMNS, output=output, nothing=nothing)
    paging.say_more(answer)
    for of, entries in lists.items():
        if entries and not output:
            render.say(f"to allow all of it, in {PLACES[of].format(', '.join(entries))}", err=True)


def _name(one: Json) -> str:
    return f"{one['role']}/{one['host']}:{one['port']}/{one['passage']}"


def wanted(answer: Json, *, of: str) -> list[str]:
    """The entries that allow all that one of them asked for, but what stands for a local address."""
    whys = {"", "list"} if of == "agent" else {of}
    asked = [one for one in answer["egress"] if one["host"] and one["why"] in whys]
    return sorted({one["host"] if one["port"] in WEB else f"{one['host']}:{one['port']}" for one in asked})
