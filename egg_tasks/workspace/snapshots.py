"""Snapshots: what a live clone holds now, kept in the pipeline's repository in case the clone is destroyed.

Nothing in the clone is written, its index and HEAD neither, and nothing of its agent's is run: it is read as
salvage reads it. A snapshot is a commit on top of the clone's head at refs/egg/snapshots/<run>, which no
agent fetches and which nothing counts as taken, published or known.
"""

import hashlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from egg_tasks.foreign_files import is_directory
from egg_tasks.workspace import lfs, weights
from egg_tasks.workspace.changes import Change
from egg_tasks.workspace.clones import Evidence, inspect
from egg_tasks.workspace.foreign_links import put_back
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import commit_tree, move_ref, tree_of
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
OBJECT = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True)
class _Look:
    view: View
    found: Sequence[Change]


def take(git: Git, *, pipeline_id: str, role: str, run_id: UUID, clone: Path, known: str) -> str:
    """Keep what the clone holds unless that is what it held when this gave *known*; what to know next time.

    Raises what a look at a clone raises.
    """
    evidence = inspect(clone, repository=git.directory)
    with scratch(git) as directory:
        look = _look(git, evidence, directory)
        mark = _mark(look)
        if mark and mark == known:
            return mark
        before = find(git, run_id)
        if before is None or before.head != evidence.head:
            fetch(git, evidence)
            if is_directory(clone / ".git/lfs"):
                lfs.bring_new(git, evidence.head, clone=clone)
        message = f"WIP: snapshot of a running agent ({role}) [{pipeline_id}]\n"
        commit, objects = _commit(git, look, message=message)
        # Salvage may bring it to a branch, and what is at one counts as weighed.
        weights.refuse(replace(git, borrowed=objects), commit)
        known_here = [evidence.head, *([before.commit] if before else [])]
        _bring(git, commit, objects=objects, but=known_here, directory=directory)
        move_ref(git, snapshot_ref(run_id), commit, expected=before.commit if before else None)
    return mark


def find(git: Git, run_id: UUID) -> CloneSnapshot | None:
    """The last snapshot of a run's clone, or None."""
    known, _ = git.answers("rev-parse", "--verify", "--quiet", snapshot_ref(run_id))
    if not known:
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
    git.run("update-ref", "-d", snapshot_ref(run_id))


def _look(git: Git, evidence: Evidence, directory: Path) -> _Look:
    """What is not committed, as its agent's git would say it; by its files alone if that cannot be seen."""
    try:
        (directory / "agents").mkdir()
        return _seen(agents_view(git, evidence, directory / "agents"))
    except (Conflict, GitFailed):
        (directory / "own").mkdir()
        return _seen(own_view(git, evidence, directory / "own"))


def _seen(view: View) -> _Look:
    return _Look(view, [change for change in to_save(view) if _is_small(view, change)])


def _is_small(view: View, change: Change) -> bool:
    found = _stat(view, change)
    return found is None or found.st_size <= LARGEST


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


def _bring(git: Git, commit: str, *, objects: Path, but: Sequence[str], directory: Path) -> None:
    """Copy a commit and what only it needs into the repository, each object by itself and the commit last.

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
    for file in sorted(files, key=lambda each: f"{each.parent.name}{each.name}" == commit):
        place = git.directory / "objects" / file.parent.name
        place.mkdir(exist_ok=True)
        file.rename(place / file.name)
