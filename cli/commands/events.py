"""egg events: what has happened, in order."""

from itertools import islice

import click

from cli import event_stream, options, paging, render, server


@click.command()
@options.pipeline_argument
@click.option("--follow", "-f", is_flag=True, help="Go on until the pipeline has ended.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only what came after this event.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many (default: all there are).")
@options.listing
def events(*, pipeline: str, follow: bool, after: int, limit: int | None, output: str) -> None:
    """Print what has happened in a pipeline.

    Oldest first; with --follow also what happens, as it does, and JSON is one object a line then.

    Example:  egg events rate-limit --follow
    """
    client = server.follower() if follow else server.operator()
    found = (event_stream.coming if follow else event_stream.stored)(client, pipeline, after=after)
    shown = islice(found, limit)
    if output == "jsonl" or (follow and render.wants_json(output)):
        render.write_lines(shown)
    elif render.wants_json(output):
        known = list(shown)
        is_whole = next(found, None) is None
        render.write_json({"events": known, "next_after": None if is_whole else known[-1]["id"]})
    else:
        last = after
        for event in shown:
            last = event["id"]
            render.say(event_stream.line(event))
        if limit and not follow and next(found, None):
            paging.say_more({"next_after": last})
