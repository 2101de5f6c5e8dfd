"""egg run: submit a definition, start it, follow it."""

from pathlib import Path

import click

from cli import live, options, render, server, typed
from cli.commands.stack import ensure_stack


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.overrides
@click.option("--detach", is_flag=True, help="Start it, print its id, and go.")
@options.following
@click.pass_context
def run(
    ctx: click.Context,
    *,
    file: Path,
    given: list[tuple[str, str]],
    detach: bool,
    wait: bool,
    timeout: float | None,
) -> None:
    """Run a definition file as a new pipeline, and show it until it ends.

    Checks the file first, and starts a local stack when no server is named and none runs.
    Ctrl-C only stops the watching. Once it is complete, its work is branch egg/NAME of your repository.
    Exit code: 0 complete, 1 failed, 2 faults in the file, 3 waits for a person (--wait), 4 a phase was
    aborted at its deadline or --timeout is over, 5 cancelled, 6 complete but lacking something.

    Example:  egg run pipeline.yaml --set config.max_rounds=4
    """
    from cli import submitting

    checked = submitting.check(file, overrides=given)
    ensure_stack()
    client = server.operator(patience=server.AGENT_PATIENCE)
    name = submitting.create(client, checked)["id"]
    client.post(f"/pipelines/{name}/start", repeatable=True)
    if detach:
        render.say(name)
        render.say(typed.hint(f"{name} runs; see it with: egg watch {name}"), err=True)
        return
    ctx.exit(live.follow(client, name, stop_for_person=wait, timeout=timeout))
