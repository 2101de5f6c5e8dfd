"""Says on stderr when commands talk to another version than they are; agents are told nothing."""

import sys

import click

from cli import render, server
from egg_tasks import version


def tell_of_stack() -> None:
    """Say it of the local stack, if that is whom commands talk to."""
    if server.is_given() or sys.flags.no_site:
        # The `egg` of agents, which checks find too.
        return
    written = server.manifest()
    if written is None or written.get("version", "") == version.ours():
        return
    from egg_tasks.stack import lifecycle

    running = lifecycle.running(server.home())
    if running is not None and running.version != version.ours():
        _say(
            f"the stack in {server.home()} was started by {version.named(running.version)}",
            ": `egg up` restarts it, and its agents live on",
        )


def tell_of_server(found: str | None) -> None:
    """Say it of a server that is elsewhere, by what it answered; once a command."""
    context = click.get_current_context(silent=True)
    said = context.find_root().meta if context else {}
    if found is None or found == version.ours() or said.get(__name__):
        return
    said[__name__] = True
    _say(f"the server is egg {found}")


def _say(what: str, way_out: str = "") -> None:
    render.say(f"{what}, this is egg {version.ours()}{way_out}", err=True)
