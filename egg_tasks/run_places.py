"""Where the things of an agent run lie: what its agent is given, and beside it what is ours alone.

    runs/RUN_ID     clone, prompt.md, signal: the agent's to read and write
    shims/RUN_ID    spec.json, token, locks, marks, output and outcome: nothing the agent is given leads there

Runs that a release before 0.2 laid out have everything in the former, and are attended there.
"""

from collections.abc import Sequence
from pathlib import Path

from egg_tasks.foreign_files import is_directory, is_there

SHIMS = "shims"
SPEC = "spec.json"
RUN_IDS = "*-*-*-*-*"


def ours(given: Path) -> Path:
    """The directory that is ours of the run whose agent is given *given*, made or not."""
    own = given.parent.with_name(SHIMS) / given.name
    # Ours is made first, so that nothing an agent leaves can pass for a run of an earlier release.
    return given if not is_directory(own) and is_there(given, SPEC) else own


def is_ours_alone(own: Path) -> bool:
    """Whether what lies in a run's directory was written by us and its shim, and by no agent."""
    return own.parent.name == SHIMS


def all_ours(runs: Path) -> Sequence[Path]:
    """The directories that are ours of all runs that were laid out; what agents are given is in *runs*."""
    known = {path.name for folder in (runs, runs.with_name(SHIMS)) for path in folder.glob(RUN_IDS)}
    found = [ours(runs / name) for name in sorted(known)]
    return [path for path in found if is_there(path, SPEC)]
