"""Where the things of an agent run lie: what its agent is given, and beside it what is ours alone.

    runs/RUN_ID     clone, prompt.md, signal: the agent's to read and write
    shims/RUN_ID    spec.json, token, locks, marks, output and outcome: nothing the agent is given leads there

Runs that a release before 0.2 laid out have everything in the former, and are attended there.
"""

import os
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


def repositories_beside(clone: Path) -> Sequence[str]:
    """What else is a repository where a role's clone is: a worktree that its agent made, a clone it moved.

    Nobody saves what is in them. The names are the agent's.
    """
    if not is_directory(clone.parent):
        return ()
    try:
        with os.scandir(clone.parent) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return ()
    ours_half_made = f"{clone.name}.partial"
    others = [name for name in names if name not in {clone.name, ours_half_made}]
    return [name for name in others if is_there(clone.parent / name, ".git")]
