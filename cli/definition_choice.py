"""Which definition file is meant where none is named: the one that `egg init` writes."""

from pathlib import Path

import click

from cli import render, typed

NAME = "egg.yaml"


def nearest(directory: Path) -> Path:
    """The egg.yaml of *directory*, or of one above it in its repository, which is said; else `UsageError`."""
    here = directory.absolute()
    above = (here, *here.parents)
    top = next((place for place in above if (place / ".git").exists()), None)
    for place in above:
        if (place / NAME).exists():
            render.say(f"{NAME} of {place}", err=True)
            return Path(NAME) if place == here else place / NAME
        if place == (top or here):
            break
    where = "here" if top in {None, here} else f"here, nor in {top}, where your repository begins"
    beside = [path.name for path in sorted(here.glob("*.y*ml")) if path.is_file()]
    named = f", as in `egg run {beside[0]}`" if beside else ""
    raise click.UsageError(
        typed.hint(f"There is no {NAME} {where}: `egg init` writes one, or name another file{named}.")
    )
