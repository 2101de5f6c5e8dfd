"""Takes a pipeline's work over where the person works: checked out, merged, or as uncommitted changes.

Either all of it happens or nothing, but for a merge that conflicts, which is theirs to mend or to abort.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import local_branch, persons_git
from cli.persons_git import NO_HOOKS, Done, GitSaidNoError
from cli.persons_place import Place
from cli.pipeline_work import PipelineWork
from models.errors import Conflict, Unprocessable
from models.foreign import indented, named

NAMED = 20
MOST_WORDS = 1000
"""How many paths one command of git is given: the system takes only so much."""


@dataclass(frozen=True)
class Takeover:
    """What has come of it."""

    branch: str | None
    """The branch of theirs that holds the work; None where none was needed."""
    is_new: bool
    """Whether anything has changed."""
    conflicts: Sequence[str] = ()
    said: str = ""
    """What git, and hooks of theirs, said meanwhile."""
    hooks_off: str | None = None
    """Where their hooks are that did not run, since they are among the files that agents change."""


def brought(place: Place, work: PipelineWork) -> str:
    """The branch of the person's repository that holds the work, made or moved on."""
    try:
        local_branch.fetch(place.directory, source=work.source, ref=work.ref, commit=work.commit)
        for name in local_branch.names(work.branch):
            if local_branch.held(place.directory, commit=work.commit, name=name, pipeline=work.name):
                return name
            if place.branch == name and _is_to_go_on(place, name, work):
                return name
    except GitSaidNoError as error:
        raise Unprocessable(
            f"the work of {work.name} could not be brought to {place.directory}: {error}"
        ) from error
    raise Conflict(
        f"no name is free for a branch with the work of {work.name}: delete some of {work.branch}-…"
    )


def looked_at(place: Place, work: PipelineWork) -> str | None:
    """The same for who only looks: work that a branch of theirs holds already gets no other."""
    try:
        if holder := local_branch.holder(place.directory, work.commit, (work.branch,)):
            return holder
    except GitSaidNoError:
        return None
    return brought(place, work)


def check_out(place: Place, work: PipelineWork) -> Takeover:
    """Check the work out as a branch; the one that is checked out goes on where it may."""
    branch = brought(place, work)
    hooks = place.hooks_in_files()
    before = place.head
    is_on = place.branch == branch
    if not is_on or not _is_in(place, work.commit, before):
        _refuse_overwriting(place, work.commit if is_on else f"refs/heads/{branch}")
    if is_on:
        # What the log of the branch says of it keeps it ours.
        action = {"GIT_REFLOG_ACTION": f"{local_branch.MARK}{work.name}"}
        done = persons_git.run(
            place.directory, *_hooks(hooks), "merge", "--ff-only", "--quiet", work.commit, variables=action
        )
    else:
        done = persons_git.run(place.directory, *_hooks(hooks), "checkout", "--quiet", branch, "--")
    if place.branch != branch or (done.code and not _is_in(place, work.commit, place.head)):
        raise _refused(done, f"{branch} was not checked out")
    is_new = before != place.head
    return Takeover(branch, is_new, said=done.said, hooks_off=hooks)


def merge(place: Place, work: PipelineWork, *, message: str | None) -> Takeover:
    """Merge the work into what is checked out, as the person."""
    before = place.head
    if _is_in(place, work.commit, before):
        return Takeover(place.branch, is_new=False)
    # What is aborted below, where git says no, is then never a merge of theirs.
    if persons_git.answer(place.directory, "rev-parse", "--verify", "--quiet", "MERGE_HEAD"):
        raise Conflict(
            f"{place.top} is in the middle of a merge: end it (`git commit`), or `git merge --abort`, "
            f"then egg merge {work.name} again"
        )
    branch = brought(place, work)
    hooks = place.hooks_in_files()
    _refuse_overwriting(place, work.commit)
    what = _called(place, branch) if branch != place.branch else work.commit
    words = ("-m", message) if message else ("--no-edit",)
    done = persons_git.run(place.directory, *_hooks(hooks), "merge", "--no-progress", *words, what)
    conflicts = _unmerged(place)
    if done.code and not conflicts:
        # A hook of theirs may have said no, or git does not know who they are: no half of a merge is left.
        persons_git.answer(place.directory, "merge", "--abort")
        raise _refused(done, f"{branch} was not merged, and nothing has changed")
    is_new = before != place.head
    return Takeover(branch, is_new or bool(conflicts), conflicts, done.said, hooks)


def put_on_top(place: Place, work: PipelineWork) -> Sequence[str]:
    """Put the work's changes into the files as they are, uncommitted; the paths that changed.

    `Conflict`, and nothing has changed, where they do not go together.
    """
    if found := _unmerged(place):
        raise Conflict(
            f"{place.top} is in the middle of a merge, in {named(found)}: end it, or `git merge --abort`"
        )
    looked_at(place, work)
    try:
        ours = _as_it_is(place, work)
        tree = _together(place, ours, work)
        paths = _changed(place, ours, tree)
        if paths:
            _write(place, ours, tree)
    except GitSaidNoError as error:
        raise Unprocessable(
            f"the work of {work.name} could not be applied, and nothing has changed: {error}"
        ) from error
    return paths


def _as_it_is(place: Place, work: PipelineWork) -> str:
    """A commit of the files as they lie, on top of HEAD; index, branches and files stay as they are."""
    git = Path(_git(place, "rev-parse", "--absolute-git-dir"))
    with tempfile.TemporaryDirectory(prefix="egg-apply-", dir=git) as scratch:
        index = Path(scratch) / "index"
        if (git / "index").exists():
            # With its time, by which git tells files that were written to in the very moment it was.
            shutil.copy2(git / "index", index)
        top = place.top or place.directory
        persons_git.ask(top, "add", "--update", "--", ".", index=index)
        # What the work brings may be there, and nobody has told git of it.
        brought = _git(
            place, "diff-tree", "-r", "--name-only", "-z", "--no-renames", "HEAD", work.commit
        ).split("\0")
        there = "\0".join(path for path in brought if path and _is_file(top / path)).encode(
            errors="surrogateescape"
        )
        if there:
            flags = ("--add", "-z", "--stdin")
            persons_git.ask(top, "update-index", *flags, stdin=there + b"\0", index=index)
        tree = persons_git.ask(top, "write-tree", index=index)
    who = ("-c", "user.name=egg", "-c", "user.email=egg@localhost", "-c", "commit.gpgSign=false")
    return _git(place, *who, "commit-tree", tree, "-p", "HEAD", "-m", "files as they are")


def _together(place: Place, ours: str, work: PipelineWork) -> str:
    done = persons_git.run(
        place.directory, "merge-tree", "--write-tree", "--name-only", "-z", "--no-messages", ours, work.commit
    )
    tree, *paths = done.output.split("\0")
    if done.code == 1:
        found = [path for path in paths if path]
        raise Conflict(
            f"the work of {work.name} and your files do not go together in {named(found, most=NAMED)}; "
            f"nothing has changed: commit what you have, then egg merge {work.name}, which shows both sides",
            {"conflicts": found},
        )
    if done.code:
        raise GitSaidNoError(
            done.errors.strip().splitlines()[0] if done.errors.strip() else "git merge-tree fails"
        )
    return tree


def _changed(place: Place, ours: str, tree: str) -> Sequence[str]:
    listed = _git(place, "diff-tree", "-r", "--name-only", "-z", "--no-renames", ours, tree)
    return [path for path in listed.split("\0") if path]


def _write(place: Place, ours: str, tree: str) -> None:
    """Write the difference into the files: git looks at all of them before it writes one."""
    top = place.top or place.directory
    plain = ("--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
    prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
    patch = persons_git.output(top, "diff-tree", "-r", "-p", *plain, *prefixes, ours, tree)
    persons_git.ask(top, "apply", "--whitespace=nowarn", "-p1", "-", stdin=patch)


def _is_to_go_on(place: Place, name: str, work: PipelineWork) -> bool:
    tip = _git(place, "rev-parse", f"refs/heads/{name}")
    return local_branch.is_ours(place.directory, name, tip=tip, commit=work.commit)


def _is_in(place: Place, commit: str, head: str) -> bool:
    known = persons_git.answer(place.directory, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    return bool(known) and persons_git.answer(place.directory, "merge-base", head, commit) == commit


def _unmerged(place: Place) -> Sequence[str]:
    listed = _git(place, "diff", "--name-only", "--diff-filter=U", "-z")
    return sorted({path for path in listed.split("\0") if path})


def _called(place: Place, branch: str) -> str:
    """A branch as git takes it for one, also beside a tag of its name."""
    is_tag = persons_git.answer(place.directory, "rev-parse", "-q", "--verify", f"refs/tags/{branch}")
    return f"heads/{branch}" if is_tag else branch


def _refuse_overwriting(place: Place, commit: str) -> None:
    """Raise `Conflict` naming untracked files where *commit* has its own: git spares no ignored ones."""
    top = place.top or place.directory
    head = place.head or _git(place, "hash-object", "-t", "tree", "/dev/null")
    kind = ("-r", "--diff-filter=A", "--name-only", "-z", "--no-renames")
    added = os.fsdecode(persons_git.output(top, "diff-tree", *kind, head, commit)).split("\0")
    there = sorted({found for path in added if path and (found := _there(top, path))})
    lost = [
        path
        for start in range(0, len(there), MOST_WORDS)
        for path in _untracked(top, there[start : start + MOST_WORDS])
    ]
    if lost:
        raise Conflict(
            f"{place.top} has untracked files where the work has its own: {named(lost, most=NAMED)}; "
            "nothing has changed: move them away first",
            {"paths": lost[:100]},
        )


def _there(top: Path, path: str) -> str | None:
    """What is on disk where *path* is to be written: itself, or a file or link in place of its folder."""
    for folder in list(reversed(Path(path).parents))[1:]:
        if (top / folder).is_symlink() or (top / folder).is_file():
            return str(folder)
    return path if os.path.lexists(top / path) else None


def _untracked(top: Path, paths: Sequence[str]) -> Sequence[str]:
    listed = persons_git.output(top, "--literal-pathspecs", "ls-files", "--others", "-z", "--", *paths)
    return [path for path in os.fsdecode(listed).split("\0") if path]


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _hooks(in_files: str | None) -> Sequence[str]:
    return NO_HOOKS if in_files else ()


def _git(place: Place, *arguments: str) -> str:
    return persons_git.ask(place.directory, *arguments)


def _refused(done: Done, what: str) -> Conflict:
    return Conflict(f"{what}, as git says:\n{indented(done.said or f'exit code {done.code}')}")
