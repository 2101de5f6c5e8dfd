"""egg watch and egg why: what a pipeline, or all of them, do now and wait for."""

import math
import time

import click

from cli import (
    completing,
    exit_codes,
    formatting,
    inbox,
    options,
    paging,
    render,
    server,
    typed,
    watch_all,
    watch_one,
)
from cli.event_stream import ENDED, Until
from cli.paging import Page


@click.command()
@click.argument("pipeline", required=False, shell_complete=completing.pipelines)
@options.following
@options.output
@click.pass_context
def watch(
    ctx: click.Context, *, pipeline: str | None, wait: bool, timeout: float | None, output: str
) -> None:
    """Show a pipeline live until it ends, or all that run.

    Without PIPELINE all, what needs you first. `q` (or Ctrl-C) only stops the watching. All together are
    watched until you leave; piped, until none runs any more. While the server is away that is said, and it
    goes on when it is back.
    With --json what happens is told on stderr, and the end is one document.

    Example:  egg watch rate-limit
    """
    if pipeline is None:
        at = math.inf if timeout is None else time.monotonic() + timeout
        until = Until(for_person=wait, at=at)
        exit_codes.end(ctx, watch_all.follow(server.operator(patience=0), until, output=output))
        return
    code = watch_one.follow(server.follower(), pipeline, stop_for_person=wait, timeout=timeout, output=output)
    exit_codes.end(ctx, code)


@click.command()
@click.argument("pipeline", required=False, shell_complete=completing.pipelines)
@paging.paged
@options.output
def why(*, pipeline: str | None, page: Page, output: str) -> None:
    """Say what a pipeline waits for, or each that runs.

    Role by role, and with what a person is asked. Without PIPELINE each that runs, what needs you first, in
    pages.

    Example:  egg why rate-limit
    """
    if pipeline is None:
        answer = server.operator().get(watch_all.PATH, {"limit": page.limit, "after": page.after})
        if render.wants_json(output):
            render.write_json(answer)
        else:
            inbox.tell_running(answer)
        paging.say_more(answer)
        return
    if page != Page():
        raise click.UsageError("--limit and --after are for all pipelines: leave PIPELINE out")
    answer = server.operator().get(f"/pipelines/{pipeline}/why")
    if render.wants_json(output):
        render.write_json(answer)
        return
    # Where it has ended, how is all there is to say.
    is_over = answer["status"] in ENDED
    phase = f", phase {answer['phase']}" if answer.get("phase") and not is_over else ""
    asked = answer.get("decisions") or []
    reason = typed.hint(formatting.waits(answer.get("why"), asked) or "nothing to wait for", others=answer)
    render.say(f"{answer['pipeline']} is {answer['status']}{phase}: {reason}")
    if answer.get("waiting"):
        render.write_table(answer["waiting"], {"ROLE": "role", "STATE": formatting.condition, "WHY": "why"})
    from cli import report

    if left := report.leftovers(answer):
        render.say(left)
    shown = {failed["run"] for one in asked for failed in one.get("failures") or []}
    if failed := [one for one in answer.get("failures") or [] if one["run"] not in shown]:
        render.say(report.failures(failed))
    for one in asked:
        render.say(report.question(one))
