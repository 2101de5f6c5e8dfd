"""What things are called in a pipeline's repository, and which names are refused."""

import re
from uuid import UUID

from models import git_names
from models.errors import Malformed

ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
COMMIT = re.compile(git_names.COMMIT)
SNAPSHOTS = "refs/egg/snapshots/"
"""Below it is what a clone held when it was last looked at: of nobody's making, so that nothing counts it."""
START = "refs/egg/start"
"""What the base stood for when the repository was made."""


def checked_commit(commit: str) -> str:
    """A full commit id, or `Malformed`: anything else could be an option or a path to git."""
    if not COMMIT.fullmatch(commit):
        raise Malformed(f"{commit!r} is not a commit's full id")
    return commit


def branch_ref(branch: str) -> str:
    """The ref of a branch, or `Malformed` for a name git would refuse."""
    parts = branch.split("/")
    unfit = any(not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    if unfit or ".." in branch or not BRANCH.fullmatch(branch):
        raise Malformed(f"{branch!r} cannot be a branch: use letters, digits, '.', '_', '-' and '/'")
    return f"refs/heads/{branch}"


def checked_role_branch(pipeline_id: str, role: str) -> str:
    """A role's own branch, or `Malformed` if the role's name cannot end one."""
    if not ROLE.fullmatch(role) or role in git_names.RESERVED:
        raise Malformed(
            f"{role!r} cannot be a role: up to 64 letters, digits, '_' and '-', and not 'work' or 'salvage'"
        )
    return git_names.role_branch(pipeline_id, role)


def snapshot_ref(run_id: UUID) -> str:
    """What leads to the last snapshot of a run's clone."""
    return f"{SNAPSHOTS}{run_id}"


def taken_ref(run_id: UUID, commit: str) -> str:
    """What keeps a taken version alive."""
    return f"refs/egg/taken/{run_id}/{commit}"
