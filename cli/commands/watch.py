"""egg watch and egg why: what a pipeline does now, and what it waits for."""

import click

from cli import completing, exit_codes, following, live, options, render, server, typed
from egg_tasks.client import Client
from models.errors import NotFound
from models.foreign import flat


@click.command()
@click.argument("pipeline", required=False, shell_complete=completing.pipelines)
@options.following
@options.output
@click.pass_context
def watch(
    ctx: click.Context, *, pipeline: str | None, wait: bool, timeout: float | None, output: str
) -> None:
    """Show a pipeline live until it ends.

    The newest one, if you name none. Ctrl-C only stops the watching. With --json what happens is told on
    stderr, and the end is one document.

    Example:  egg watch rate-limit
    """
    client = server.operator(patience=server.AGENT_PATIENCE)
    name = pipeline or _newest(client)
    code = live.follow(client, name, stop_for_person=wait, timeout=timeout, output=output)
    exit_codes.end(ctx, code)


@click.command()
@options.pipeline_argument
@options.output
def why(*, pipeline: str, output: str) -> None:
    """Say what a pipeline waits for.

    Role by role, and with what a person is asked.

    Example:  egg why rate-limit
    """
    answer = server.operator().get(f"/pipelines/{pipeline}/why")
    if render.wants_json(output):
        render.write_json(answer)
        return
    phase = f", phase {answer['phase']}" if answer.get("phase") else ""
    reason = typed.hint(answer.get("why") or "nothing to wait for")
    render.say(f"{answer['pipeline']} is {answer['status']}{phase}: {flat(reason)}")
    if answer.get("waiting"):
        render.write_table(answer["waiting"], {"ROLE": "role", "STATE": "state", "WHY": "why"})
    from cli import report

    if left := report.leftovers(answer):
        render.say(left)
    for asked in answer.get("decisions") or []:
        render.say(report.question(asked))


def _newest(client: Client) -> str:
    """The pipeline created last."""
    newest = next(following.pipelines(client), None)
    if newest is None:
        raise NotFound("there is no pipeline to watch; make one: egg run FILE, or egg demo")
    return str(newest["id"])
