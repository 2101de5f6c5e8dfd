"""egg validate and egg schema: the definition file."""

from pathlib import Path

import click

from cli import options, render


@click.command()
@options.definition
@options.overrides
@options.output
def validate(*, file: Path, given: list[tuple[str, str]], output: str) -> None:
    """Check a definition file. The egg.yaml of this directory or repository, if you name none.

    Every fault is named with its path and line, those of its repository too; nothing is stored. A
    repository at a URL is asked whether it has `base`, as `egg run` would ask it. Notes say what agents
    will not find: files that are named and not committed, or not executable. FILE `-` is standard input,
    its paths are taken from here. With --json the faults are in error.details.lines.

    Example:  egg validate
    """
    from cli import submitting

    checked = submitting.check(file, overrides=given, is_submitted=False)
    if output:
        render.write_json({"file": checked.name, "is_sound": True, "notes": list(checked.notes)})
    else:
        render.say(f"{checked.name} is sound", err=True)


@click.command()
@options.json_anyway
def schema() -> None:
    """Print the JSON Schema of the definition file, for editors.

    Example:  egg schema > egg.schema.json
    """
    from models.schemas.definition import json_schema

    render.write_json(json_schema())
