"""egg context: everything an agent run should know now."""

import click

from cli import options, render, server


@click.command()
@options.own_pipeline
@options.json_anyway
def context(*, pipeline: str) -> None:
    """Print what you should know now, as JSON.

    Task, roster, deadlines, objections, unread messages.

    Example:  egg context
    """
    path = f"/pipelines/{pipeline}/context"
    render.write_json(server.agent().get(path)["context"])
