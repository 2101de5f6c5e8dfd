"""How a Python program of ours is started: with our own packages, whatever lies where it is started."""

import sys
from collections.abc import Mapping
from pathlib import Path

from models.errors import Unprocessable

OURS = Path(__file__).resolve().parents[1]
"""Where our packages lie. To be the program's current directory, since Celery and uvicorn search that one
first, and `/models` is a common place for something else."""

SEARCHED = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"})
"""Variables that tell Python where to search; the user's say of their own programs."""


def command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the argument list that runs *module* without the current directory on its search path.

    `Unprocessable` in the `egg` of agents, which has no installation.
    """
    if sys.flags.no_site:
        raise Unprocessable(
            "this is the `egg` of agents, which starts no stack and no part of one: that is done by people,"
            " with an `egg` of their own"
        )
    return (sys.executable, "-P", "-m", module, *arguments)


def unled(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what leads Python elsewhere."""
    return {name: value for name, value in environ.items() if name not in SEARCHED}
