"""Asking a person before something goes for good; nobody but a person at a terminal is asked."""

import sys

from cli import render
from models.errors import Conflict


def confirm(question: str, *, yes: bool, command: str) -> None:
    """Return when it was said with --yes or is answered so; `Conflict` that nothing is done else."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Conflict(f"nothing is removed without --yes: {command} --yes")
    if not render.ask(question):
        raise Conflict("nothing is removed")
