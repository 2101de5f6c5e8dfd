"""egg status: the whole installation in ten lines."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from cli import exit_codes, options, render, server
from cli.overview import Overview, Stack, lines
from models.errors import Unauthenticated, Unavailable


@click.command()
@options.output
@click.pass_context
def status(ctx: click.Context, *, output: str) -> None:
    """Say how everything is, and what needs you.

    Stack, workers, agents, pipelines by state, the most urgent question, disk, and what failed last.

    Example:  egg status
    """
    seen = _look()
    if render.wants_json(output):
        found = {**asdict(seen), "now": seen.now.isoformat(), "is_well": seen.is_well}
        render.write_json(found)
    else:
        from rich.console import Console, Group

        # `draw` begins a line anew some columns before the end.
        width = Console().width - render.HANGING if render.is_terminal() else None
        render.draw(Group(*lines(seen, width=width)))
    exit_codes.end(ctx, exit_codes.DONE if seen.is_well else exit_codes.FAILED)


def _look() -> Overview:
    """Look at the local stack, if commands talk to it, and ask the server how all is."""
    home = server.own_home()
    url = server.url()
    seen = Overview(url=url, now=datetime.now(UTC), stack=_stack(home) if home else None)
    if seen.stack and seen.stack.since is None:
        return seen
    try:
        return replace(seen, overview=server.operator(patience=0).get("/overview"))
    except (Unavailable, Unauthenticated) as error:
        return replace(seen, away=error.message)


def _stack(home: Path) -> Stack:
    """What is known of the local stack without its server."""
    from egg_tasks import local_runs
    from egg_tasks.stack import census, lifecycle, lock

    running, since = lifecycle.running(home), lock.taken_at(home)
    if running is None or since is None:
        # One that is starting has the lock, and is not there yet.
        runs, is_busy = local_runs.look(home), lock.holder(home) is not None
        return Stack(
            str(home), None, "", (), is_busy=is_busy, agents_without=runs.live, agents_unknown=runs.doubt
        )
    known = [asdict(each) for each in census.read(home)]
    return Stack(str(home), since.isoformat(), running.version, known)
