"""Snapshots: what a live clone holds now, kept in the pipeline's repository in case the clone is destroyed.

Nothing in the clone is written, its index and HEAD neither, and nothing of its agent's is run: it is read as
salvage reads it. A snapshot is a commit on top of the clone's head at refs/egg/snapshots/<run>, which no
agent fetches and which nothing counts as taken, published or known.
"""

import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from egg_tasks import stillness
from egg_tasks.foreign_files import is_directory
from egg_tasks.workspace import allowance, lfs, weights
from egg_tasks.workspace.allowance import Allowance
from egg_tasks.workspace.changes import Change, entries
from egg_tasks.workspace.clones import Evidence, inspect
from egg_tasks.workspace.foreign_links import put_back
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import commit_at, commit_tree, move_ref, tree_of, trees
from egg_tasks.workspace.names import snapshot_ref
from egg_tasks.workspace.staging import Staging, to_save
from egg_tasks.workspace.versions import fetch, scratch
from egg_tasks.workspace.view import View, agents_view, own_view
from models.errors import Conflict
from models.schemas.git import CloneSnapshot

LARGEST = 64 * 1024**2
"""Bytes of one uncommitted file: a larger one is left to salvage, since nothing is ever removed from here."""
RACY_NS = 1_000_000_000
"""A file that was written to so lately may be written to again without its times telling."""
BLOCK = 4096
"""Bytes: a file on the disk is of whole ones."""
OBJECT = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True)
class _Look:
    view: View
    found: Sequence[Change]


def take(git: Git, *, pipeline_id: str, role: str, run_id: UUID, clone: Path, known: str) -> str | None:
    """Keep what the clone holds unless that is what it held when this gave *known*; what to know next time.

    None when the run's snapshots have brought all they may: none is taken any more.
    Raises what a look at a clone raises.
    """
    allowed = Allowance.of(git, run_id)
    if allowed.left <= 0:
        return None
    allowance.need_room(git.directory)
    evidence = inspect(clone, repository=git.directory)
    with scratch(git) as directory:
        look = _look(git, evidence, directory)
        mark = _mark(look)
        if mark and mark == known:
            return mark
        before, large = find(git, run_id), _large(git)
        is_new = before is None or before.head != evidence.head
        if is_new:
            size = _to_fetch(git, evidence)
            if size > allowed.left:
                return None
            fetch(git, evidence)
            allowed.charge(size)
        message = f"WIP: snapshot of a running agent ({role}) [{pipeline_id}]\n"
        try:
            if is_new and is_directory(clone / ".git/lfs"):
                lfs.bring_new(git, evidence.head, clone=clone)
            commit, objects = _commit(git, look, message=message)
        finally:
            # What came stays also where there was no time for the rest.
            allowed.charge(_large(git) - large)
        # Salvage may bring it to a branch, and what is at one counts as weighed.
        weights.refuse(replace(git, borrowed=objects), commit)
        known_here = [evidence.head, *([before.commit] if before else [])]
        files = _unpacked(git, commit, objects=objects, but=known_here, directory=directory)
        size = sum(-(-file.stat().st_size // BLOCK) * BLOCK for file in files)
        if size > allowed.left:
            return None
        stillness.need()
        allowed.charge(size)
        _bring(git, files)
        move_ref(git, snapshot_ref(run_id), commit, expected=before.commit if before else None)
    return mark


def find(git: Git, run_id: UUID) -> CloneSnapshot | None:
    """The last snapshot of a run's clone, or None."""
    if commit_at(git, snapshot_ref(run_id)) is None:
        return None
    said = git.line("log", "-1", "--no-show-signature", "--format=%H %P %ct", snapshot_ref(run_id)).split()
    commit, head, seconds = said
    return CloneSnapshot(
        commit=commit,
        head=head,
        taken_at=datetime.fromtimestamp(int(seconds), UTC),
        is_clean=tree_of(git, commit) == tree_of(git, head),
    )


def drop(git: Git, run_id: UUID) -> None:
    """Forget the snapshot of a run whose work is safe; it need not be there."""
    if commit_at(git, snapshot_ref(run_id)):
        git.run("update-ref", "-d", snapshot_ref(run_id))
    Allowance.of(git, run_id).forget()


def _to_fetch(git: Git, evidence: Evidence) -> int:
    """The bytes of what comes with the clone's head, which may be here."""
    if trees(git, [evidence.head]):
        return 0
    reading = replace(git, borrowed=evidence.objects)
    known = ("--not", "--branches", "--tags")
    return int(reading.line("rev-list", "--disk-usage", "--objects", evidence.head, *known))


def _large(git: Git) -> int:
    """The bytes of the contents of large files (LFS)."""
    return sum(file.stat().st_size for file in (git.directory / "lfs/objects").glob("??/??/*"))


def _look(git: Git, evidence: Evidence, directory: Path) -> _Look:
    """What is not committed, as its agent's git would say it; by its files alone if that cannot be seen."""
    try:
        (directory / "agents").mkdir()
        return _seen(agents_view(git, evidence, directory / "agents"))
    except (Conflict, GitFailed):
        (directory / "own").mkdir()
        return _seen(own_view(git, evidence, directory / "own"))


def _seen(view: View) -> _Look:
    """The changes, without those that are too large by themselves or with all that are smaller."""
    found = list(to_save(view))
    sizes, kept, left = _sizes(view, found), [], allowance.MOST_TOGETHER
    for change in sorted(found, key=lambda each: (sizes[each.path], each.path)):
        size = sizes[change.path]
        if size > min(LARGEST, left):
            break
        kept.append(change)
        left -= size
    return _Look(view, kept)


def _sizes(view: View, found: Sequence[Change]) -> Mapping[bytes, int]:
    """The bytes of each file, or of what is staged of it if that is more: the index may have it alone."""
    sizes = {change.path: stat.st_size if (stat := _stat(view, change)) else 0 for change in found}
    paths = {change.path for change in found if change.is_staged}
    staged = entries(view.git, paths) if paths else {}
    asked = b"".join(entry.blob + b"\n" for entry in staged.values())
    said = view.git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked).splitlines() if asked else []
    for path, size in zip(staged, said, strict=True):
        sizes[path] = max(sizes[path], int(size) if size.isdigit() else 0)
    return sizes


def _mark(look: _Look) -> str:
    """What tells this look from one at a clone that has changed since; nothing where that cannot be told."""
    digest, newest = hashlib.sha256(look.view.head.encode()), 0
    for change in sorted(look.found, key=lambda each: each.path):
        found = _stat(look.view, change)
        times = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino) if found else ()
        newest = max(newest, *times[:2]) if found else newest
        digest.update(repr((change, times)).encode())
    return "" if newest > time.time_ns() - RACY_NS else digest.hexdigest()


def _stat(view: View, change: Change) -> os.stat_result | None:
    try:
        return (view.clone / os.fsdecode(change.path)).lstat()
    except OSError:
        return None


def _commit(git: Git, look: _Look, *, message: str) -> tuple[str, Path]:
    """The commit of all this, and the directory of its new objects; the repository is not written to."""
    staging = Staging.of(look.view, store=git.directory)
    tree = tree_of(staging.git, look.view.head)
    if look.found:
        tree = put_back(staging.git, staging.write(look.found), head=look.view.head, repository=git.directory)
    commit = commit_tree(staging.git, tree, look.view.head, message=f"{message}{staging.report()}")
    return commit, staging.git.directory / "objects"


def _unpacked(git: Git, commit: str, *, objects: Path, but: Sequence[str], directory: Path) -> Sequence[Path]:
    """The files of a commit and of what only it needs, each object by itself and the commit last.

    A pack each would be thousands of them after some hours, all of which every git then looks into.
    """
    loose = directory / "loose"
    loose.mkdir()
    receiving = replace(git, objects=loose, borrowed=git.directory / "objects")
    asked = "".join(f"^{each}\n" for each in but) + f"{commit}\n"
    with (directory / "pack").open("w+b") as pack:
        replace(git, borrowed=objects).run(
            "pack-objects", "--quiet", "--revs", "--window=0", "--stdout", stdin=asked.encode(), stdout=pack
        )
        pack.seek(0)
        receiving.run("unpack-objects", "-q", "--strict", stdin=pack)
    files = [file for folder in loose.iterdir() if OBJECT.fullmatch(folder.name) for file in folder.iterdir()]
    return sorted(files, key=lambda each: f"{each.parent.name}{each.name}" == commit)


def _bring(git: Git, files: Sequence[Path]) -> None:
    for file in files:
        place = git.directory / "objects" / file.parent.name
        place.mkdir(exist_ok=True)
        file.rename(place / file.name)
