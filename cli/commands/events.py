"""egg events: what has happened, in order."""

import click

from cli import following, options, render, server


@click.command()
@options.pipeline_argument
@click.option("--follow", "-f", is_flag=True, help="Go on until the pipeline has ended.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only what came after this event.")
@options.listing
def events(*, pipeline: str, follow: bool, after: int, output: str) -> None:
    """Print what has happened in a pipeline.

    Oldest first; with --follow also what happens, as it does.

    Example:  egg events rate-limit --follow
    """
    client = server.operator(patience=server.AGENT_PATIENCE if follow else server.OPERATOR_PATIENCE)
    found = (following.coming if follow else following.stored)(client, pipeline, after=after)
    if output == "jsonl" or (follow and render.wants_json(output)):
        render.write_lines(found)
    elif render.wants_json(output):
        render.write_json({"events": list(found)})
    else:
        for event in found:
            render.say(following.line(event))
