"""egg phase: the stretches of a pipeline."""

import click

from cli import completing, formatting, options, paging, render, server
from cli.paging import Page
from models.errors import NotFound

COLUMNS: render.Columns = {
    "PHASE": lambda phase: formatting.phase_name(phase["phase"], phase["iteration"]),
    "STATUS": "status",
    "ENDED BY": "stop_reason",
    "ROLES": lambda phase: [
        f"{role['role']} {formatting.condition(role)}" for role in phase.get("roles") or []
    ],
    "WHY": lambda phase: None if phase.get("ended_at") else phase.get("why"),
}


@click.group()
def phase() -> None:
    """Look at the phases of a pipeline.

    Example:  egg phase list rate-limit
    """


@phase.command(name="list")
@options.pipeline_argument
@paging.paged
@options.listing
def list_(*, pipeline: str, page: Page, output: str) -> None:
    """List the phase runs, the newest first.

    Example:  egg phase list rate-limit
    """
    answer = server.operator().get(f"/pipelines/{pipeline}/phases")
    newest = {**answer, "phases": answer["phases"][::-1]}
    answer = page.of(newest, "phases", name=lambda phase: str(phase["id"]))
    render.write_list(answer, "phases", COLUMNS, output=output, nothing="no phase has started")
    paging.say_more(answer)


@phase.command()
@options.pipeline_argument
@click.argument("name", metavar="PHASE", required=False, shell_complete=completing.phases)
@options.output
def get(*, pipeline: str, name: str | None, output: str) -> None:
    """Show one phase run. The latest, or the latest named PHASE: roles, versions, objections, checks.

    Example:  egg phase get rate-limit implement
    """
    phases = server.operator().get(f"/pipelines/{pipeline}/phases")["phases"]
    named = [found for found in phases if name in {None, found["phase"], str(found["id"])}]
    if not named:
        known = ", ".join(dict.fromkeys(found["phase"] for found in phases)) or "none yet"
        raise NotFound(f"pipeline {pipeline} has had no phase {name or ''}; it has had: {known}")
    render.write_record(named[-1], output=output)


@phase.command()
@options.pipeline_argument
@options.phase_argument
@options.output
def advance(*, pipeline: str, name: str, output: str) -> None:
    """Accept the current state of the current phase. The next one follows.

    Agents that run are stopped, and their work is kept on their branches.

    Example:  egg phase advance rate-limit implement
    """
    _move(pipeline, name, "advance", output)


@phase.command()
@options.pipeline_argument
@options.phase_argument
@options.output
def restart(*, pipeline: str, name: str, output: str) -> None:
    """Start the current phase anew. Its agents are stopped, and their work is kept on their branches.

    Example:  egg phase restart rate-limit implement
    """
    _move(pipeline, name, "restart", output)


def _move(pipeline: str, phase: str, verb: str, output: str) -> None:
    answer = server.operator().post(f"/pipelines/{pipeline}/phases/{phase}/{verb}")
    moved = answer["pipeline"]
    where = formatting.phase_name(moved["current_phase"], moved["iteration"])
    render.answer(answer, f"{moved['id']} is {moved['status']} in {where}", output=output)
