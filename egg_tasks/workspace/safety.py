"""Which branches of a pipeline are in its person's repository too, so that they outlive the pipeline."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from egg_tasks.workspace import bounds, sources
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.names import SNAPSHOTS
from models.errors import Rejected, TookTooLong
from models.foreign import one_line
from models.masking import masked
from models.schemas.git import Branch, Branches
from models.schemas.source import is_remote, local_path

MOST = 500
"""So many branches are looked at; what is beyond counts as being nowhere else."""
PATIENCE = timedelta(seconds=8)
"""So long a person's repository is asked about all of them; the client waits 15 s."""
FORMAT = "--format=%(objectname) %(refname:lstrip=2)%00%(contents:subject)"


def list_branches(git: Git, *, source: str, below: str) -> Branches:
    """The branches whose names begin with *below*, each with whether *source* holds it; that is only read."""
    found = git.lines("for-each-ref", FORMAT, f"refs/heads/{below.rstrip('/')}/")
    # What a run held whose clone is kept yet: by its whole name, since it is no branch.
    found += git.lines("for-each-ref", FORMAT.replace(":lstrip=2", ""), SNAPSHOTS)
    is_elsewhere, why = _asked(source)
    branches = []
    with bounds.within(PATIENCE):
        for number, line in enumerate(found):
            about, _, subject = line.partition("\0")
            commit, _, name = about.partition(" ")
            try:
                is_safe = number < MOST and is_elsewhere(commit)
            except TookTooLong:
                is_safe, why = (
                    False,
                    f"{masked(source)} could not be asked about each in {PATIENCE.seconds} s",
                )
            branches.append(Branch(name=name, commit=commit, subject=one_line(subject), is_elsewhere=is_safe))
    return Branches(repository=str(git.directory), branches=tuple(branches), why=why)


def _asked(source: str) -> tuple[Callable[[str], bool], str]:
    """How a repository is asked whether it holds a commit, or why it cannot be."""
    if is_remote(source):
        return _nothing, f"{masked(source)} is on another machine and is not asked"
    try:
        git = sources.visit(Path(local_path(source))).git
    except (Rejected, GitFailed) as error:
        return _nothing, one_line(str(error))

    def holds(commit: str) -> bool:
        try:
            return bool(git.lines("for-each-ref", "--count=1", f"--contains={commit}", "--format=x"))
        except GitFailed:
            # It knows no such commit.
            return False

    return holds, ""


def _nothing(commit: str) -> bool:
    del commit
    return False
