"""egg stop-all: a halt, in which nothing starts anywhere until it is lifted."""

import click

from cli import formatting, options, render, server


@click.command(name="stop-all")
@click.option("--why", default="", help="What for; `egg why` says it to everybody who waits.")
@click.option("--running", is_flag=True, help="Stop the agents that run, too; their work is kept.")
@click.option("--lift", is_flag=True, help="Let agents start again; those that wait start at once.")
@options.output
def stop_all(*, why: str, running: bool, lift: bool, output: str) -> None:
    """Let no agent and no check start, in any pipeline, until it is lifted.

    Agents that run go on, unless --running stops them; they run again after the lift. Stopping twice and
    lifting twice are no mistakes.

    Example:  egg stop-all --why "the provider's bill"
    """
    if lift and (why or running):
        raise click.UsageError("--lift goes alone")
    client = server.operator()
    if lift:
        answer = client.post("/halt/lift", repeatable=True)
        text = "agents start again" if answer["halt"] else "nothing was stopped"
    else:
        answer = client.post("/halt", {"why": why, "running": running}, repeatable=True)
        text = formatting.halted(answer["halt"])
    render.answer(answer, text, output=output)
