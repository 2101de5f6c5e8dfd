"""Questions about a pipeline's commits, and merges built without touching a branch."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from egg_tasks.foreign_files import LARGEST_REF, read_plain
from egg_tasks.workspace import merge_attributes, packed_refs
from egg_tasks.workspace.atomic_directory import locked
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.names import COMMIT, branch_ref, checked_commit
from models.errors import NotFound, Unavailable
from models.foreign import one_line
from models.schemas.git import Conflicted, Merged

MOST_PATHS = 100
"""So many conflicting paths are named: they go into rows and prompts."""
NOTHING = ""
"""No commit, whatever the hash."""


def unknown(repository: Path, commit: str, error: GitFailed) -> NotFound:
    """The refusal of a commit that the pipeline's repository does not hold."""
    return NotFound(f"{repository} holds no commit {commit}: take it from its clone first ({error})")


def tip(git: Git, branch: str) -> str | None:
    """The commit a branch of a pipeline's repository is at, or None."""
    return commit_at(git, branch_ref(branch))


def commit_at(git: Git, ref: str) -> str | None:
    """The commit a ref of a pipeline's repository is at, or None.

    Read here where it is in a file of its own, or where no other could hold it: a git for each question is
    most of what a run's beginning and end take.
    """
    alone = (read_plain(git.directory, ref, limit=LARGEST_REF) or b"").decode("ascii", "replace").strip()
    if COMMIT.fullmatch(alone):
        return alone
    if not alone and not packed_refs.may_hold(git.directory, ref):
        return None
    known, output = git.answers("rev-parse", "--verify", "--quiet", ref)
    return output.decode().strip() if known else None


def tree_of(git: Git, commit: str) -> str:
    """The tree of a commit."""
    try:
        return git.line("rev-parse", "--verify", f"{checked_commit(commit)}^{{tree}}")
    except GitFailed as error:
        raise unknown(git.directory, commit, error) from error


def trees(git: Git, commits: Iterable[str]) -> Mapping[str, str]:
    """The trees of commits, those that are not there left out: one question, however many they are."""
    asked = [checked_commit(commit) for commit in commits]
    names = "".join(f"{commit}^{{tree}}\n" for commit in asked)
    answers = git.lines("cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=names.encode())
    found = zip(asked, (answer.split(" ") for answer in answers), strict=True)
    return {commit: tree for commit, (kind, tree) in found if kind == "tree"}


def contains(git: Git, commit: str, other: str) -> bool:
    """Whether *other* is *commit* or one of its ancestors."""
    if commit == other:
        return True
    try:
        return git.answers("merge-base", "--is-ancestor", checked_commit(other), checked_commit(commit))[0]
    except GitFailed as error:
        raise unknown(git.directory, f"{commit} or {other}", error) from error


def ancestors(git: Git, commit: str, among: Iterable[str]) -> frozenset[str]:
    """Those of *among* that *commit* contains: one question, however many they are."""
    asked = frozenset(checked_commit(one) for one in among)
    if not asked:
        return asked
    # What the others have and this one has not; those of them that it names are no ancestors.
    revisions = "\n".join([*asked, f"^{checked_commit(commit)}", ""])
    try:
        return asked - frozenset(git.lines("rev-list", "--stdin", stdin=revisions.encode()))
    except GitFailed as error:
        raise unknown(git.directory, f"{commit} or one of {len(asked)} others", error) from error


def merge_tree(git: Git, ours: str, theirs: str) -> str | Conflicted:
    """The tree that merging two commits gives, or the paths on which they do not go together.

    As git does where *ours* is checked out, it obeys the merge attributes of *ours*.
    """
    command = (
        "merge-tree",
        "--write-tree",
        "--allow-unrelated-histories",
        "--name-only",
        "--no-messages",
        "-z",
    )
    try:
        with merge_attributes.obeyed(git, checked_commit(ours)) as obeying:
            clean, output = obeying.answers(*command, ours, checked_commit(theirs))
    except GitFailed as error:
        raise unknown(git.directory, f"{ours} or {theirs}", error) from error
    tree, *paths = (part for part in output.split(b"\0") if part)
    if clean:
        return tree.decode()
    found = sorted({readable(path) for path in paths})
    left = len(found) - MOST_PATHS
    return Conflicted(paths=(*found[:MOST_PATHS], *([f"and {left} more"] if left > 0 else [])))


def commit_tree(git: Git, tree: str, *parents: str, message: str) -> str:
    """Make a commit of ours."""
    flags = [flag for parent in parents for flag in ("-p", parent)]
    return git.run("commit-tree", tree, *flags, "-F", "-", stdin=message.encode()).decode().strip()


def merge(git: Git, *, work: str, version: str, message: str) -> Merged | Conflicted:
    """Build the merge commit of *version* into *work*; *work* itself if it contains it."""
    if contains(git, work, version):
        return Merged(commit=work)
    outcome = merge_tree(git, work, version)
    if isinstance(outcome, Conflicted):
        return outcome
    return Merged(commit=commit_tree(git, outcome, work, version, message=message))


def move_ref(git: Git, ref: str, commit: str, *, expected: str | None) -> bool:
    """Move a ref if it is where it is expected (None: nowhere); whether it is at *commit* now.

    Only one of us moves refs of a repository at a time. The lock is shared with git itself, so a lock
    file of git's found under it belongs to a process that was killed, and is removed.
    """
    with locked(git.directory / "egg-refs.lock") as descriptor:
        (git.directory / f"{ref}.lock").unlink(missing_ok=True)
        try:
            git.run("update-ref", ref, checked_commit(commit), expected or NOTHING, holding=(descriptor,))
        except GitFailed as error:
            now = commit_at(git, ref)
            if now == commit:
                return True
            if now == expected:
                raise Unavailable(f"{ref} in {git.directory} cannot be moved now: {error}") from error
            return False
    return True


def readable(path: bytes) -> str:
    """A path of git's as one line of text, whatever its bytes are: it goes into prompts and to people."""
    return one_line(path.decode("utf-8", "backslashreplace"))
