"""egg run: submit a definition, start it, follow it."""

from pathlib import Path

import click

from cli import exit_codes, options, server
from cli.commands.stack import ensure_stack


@click.command()
@options.definition
@options.overrides
@options.detaching
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
    `q` (or Ctrl-C) only stops the watching. Once it is complete, its work is branch egg/NAME of your
    repository.
    With --json what happens is told on stderr, and the end is one document.

    Example:  egg run pipeline.yaml --set config.max_rounds=4
    """
    from cli import submitting

    checked = submitting.check(file, overrides=given)
    submitting.need_containers(checked)
    ensure_stack()
    client = server.follower()
    created = submitting.create(client, checked)
    code = submitting.start(client, created, detach=detach, wait=wait, timeout=timeout, output=output)
    exit_codes.end(ctx, code)
