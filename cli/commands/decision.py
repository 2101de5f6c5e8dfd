"""egg decision: questions to a person."""

import click

from cli import options, render, server
from egg_tasks.client import Json

COLUMNS: render.Columns = {
    "ID": "id",
    "STATUS": "status",
    "PHASE": "phase",
    "ROLES": "roles",
    "QUESTION": "question",
    "OPTIONS": lambda decision: " / ".join(decision.get("options") or []),
    "DEFAULT": "default",
    "DEADLINE": "deadline",
    "RESOLUTION": "resolution",
}


@click.group()
def decision() -> None:
    """See what a person is asked, and answer.

    Example:  egg decision resolve 7 --resolution "Accept current state"
    """


@decision.command(name="list")
@options.own_pipeline
@click.option("--status", help="Only decisions in this state, like pending.")
@options.listing
def list_(*, pipeline: str, status: str | None, output: str) -> None:
    """List the questions of a pipeline.

    Example:  egg decision list rate-limit --status pending
    """
    page = server.anyone().get(f"/pipelines/{pipeline}/decisions", {"status": status})
    render.write_list(page, "decisions", COLUMNS, output=output, nothing="nobody has been asked anything")


@decision.command()
@click.argument("number", metavar="ID", type=int)
@options.output
def get(*, number: int, output: str) -> None:
    """Show one question.

    Example:  egg decision get 7
    """
    render.write_record(_find(number), output=output)


@decision.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--resolution", help="The answer: one of the options, in its own words.")
@options.output
def resolve(*, number: int, resolution: str | None, output: str) -> None:
    """Answer a question; the pipeline goes on at once.

    Example:  egg decision resolve 7 --resolution "Retry (respawn agent)"
    """
    asked = _find(number)
    if resolution is None:
        choices = ", ".join(f'"{option}"' for option in asked.get("options") or [])
        raise click.UsageError(f"{asked['question']} Give --resolution with one of: {choices}")
    path = f"/pipelines/{asked['pipeline_id']}/decisions/{number}/resolve"
    answer = server.operator().post(path, {"resolution": resolution})
    if output:
        render.write_json(answer)
    else:
        click.echo(f"decision {number} of {asked['pipeline_id']}: {resolution}")


def _find(number: int) -> Json:
    found = server.anyone().get(f"/decisions/{number}")["decision"]
    return dict(found)
