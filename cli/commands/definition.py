"""egg validate and egg schema: the definition file."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import options, render
from models.errors import Unprocessable

if TYPE_CHECKING:
    from cli.definition_file import Checked

WHEREABOUTS: render.Columns = {"AGENT": "who", "RUNS": "runs", "REACHES": "reaches"}


@click.command()
@options.definition
@options.overrides
@options.output
def validate(*, file: Path, given: list[tuple[str, str]], output: str) -> None:
    """Check a definition file. The egg.yaml of this directory or repository, if you name none.

    Every fault is named with its path and line, those of its repository too; nothing is stored. A
    repository at a URL is asked whether it has `base`, as `egg run` would ask it. Notes say what agents
    will not find: files that are named and not committed, or not executable. Of each agent it is said where
    it runs, and what it reaches there. FILE `-` is standard input, its paths are taken from here. With --json
    the faults are in error.details.lines.

    Example:  egg validate
    """
    from cli import submitting, whereabouts

    checked = submitting.check(file, overrides=given, is_submitted=False)
    notes = [*checked.notes, *_on_the_engine(checked)]
    agents = [asdict(place) for place in whereabouts.places(checked.definition)]
    if output:
        render.write_json({"file": checked.name, "is_sound": True, "notes": notes, "agents": agents})
        return
    render.write_table(agents, WHEREABOUTS)
    render.say(f"{checked.name} is sound", err=True)


def _on_the_engine(checked: "Checked") -> list[str]:
    """What keeps its agents from containers here, now: no fault of the file's, since it runs elsewhere."""
    from cli import submitting

    try:
        submitting.need_containers(checked)
    except Unprocessable as error:
        render.say(f"note: {error}", err=True)
        return [error.message]
    return []


@click.command()
@options.json_anyway
def schema() -> None:
    """Print the JSON Schema of the definition file, for editors.

    Example:  egg schema > egg.schema.json
    """
    from models.schemas.definition import json_schema

    render.write_json(json_schema())
