"""egg example-agent: the scripted agents that the file of `egg init` begins with."""

import os
import sys

import click

from cli import server


@click.command("example-agent")
@click.argument("name", type=click.Choice(["author", "reviewer"]))
def example_agent(*, name: str) -> None:
    """Be a scripted agent, as a definition to begin with has it.

    The author writes EGG-NOTES.md, which says how many files the repository holds; the reviewer counts
    again and objects if that is wrong. They are there in every agent's `egg` and need no key and no model.

    Example:  egg example-agent author
    """
    from egg_tasks.demo.repository import AGENTS

    server.agent()
    program = str(AGENTS / f"example_{name}.py")
    # Nothing of the repository's leads the interpreter, which is egg's own, astray.
    os.execv(sys.executable, [sys.executable, "-B", "-E", "-s", program])  # noqa: S606  no shell wanted
