"""egg run: submit a definition, start it, follow it."""

from pathlib import Path

import click

from cli import exit_codes, live, options, render, server, typed
from cli.commands.stack import ensure_stack


@click.command()
@options.definition
@options.overrides
@click.option("--detach", is_flag=True, help="Start it, print its id, and go.")
@options.following
@options.output
@click.pass_context
def run(
    ctx: click.Context,
    *,
    file: Path,
    given: list[tuple[str, str]],
    detach: bool,
    wait: bool,
    timeout: float | None,
    output: str,
) -> None:
    """Run a definition file as a new pipeline, and show it until it ends.

    The egg.yaml of this directory or repository, if you name none; `egg init` writes one. Checks the file
    first, and starts a local stack when no server is named and none runs.
    Ctrl-C only stops the watching. Once it is complete, its work is branch egg/NAME of your repository.
    With --json what happens is told on stderr, and the end is one document.

    Example:  egg run pipeline.yaml --set config.max_rounds=4
    """
    from cli import submitting

    checked = submitting.check(file, overrides=given)
    ensure_stack()
    client = server.operator(patience=server.AGENT_PATIENCE)
    name = submitting.create(client, checked)["id"]
    started = client.post(f"/pipelines/{name}/start", repeatable=True)
    if detach:
        render.answer(started, name, output=output)
        render.say(typed.hint(f"{name} runs; see it with: egg watch {name}"), err=True)
        return
    code = live.follow(client, name, stop_for_person=wait, timeout=timeout, output=output)
    exit_codes.end(ctx, code)
