"""Reading what an agent left in its clone. The clone is evidence, never a repository to run git in."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from egg_tasks.foreign_files import (
    LARGEST_REF,
    LARGEST_TEXT,
    is_directory,
    is_plain,
    is_there,
    read_plain,
)
from egg_tasks.workspace import packed_refs
from egg_tasks.workspace.names import COMMIT
from models.errors import Conflict

UNFINISHED = {"MERGE_HEAD": "merge", "rebase-merge": "rebase", "rebase-apply": "rebase"}
LARGEST_READ = 32 * 1024**3
"""Bytes of one file that git reads in the time it is given, at best."""
PIECE = 1024 * 1024
LONGEST_REF_CHAIN = 5


def unreadable(clone: Path, why: str) -> Conflict:
    """The refusal of a clone that is no longer what we made."""
    return Conflict(
        f"The clone {clone} cannot be read: {why}. Restore its .git directory, or commit the work in a "
        "fresh clone of its origin and put that in its place, then signal READY again",
        {"clone": str(clone), "reason": why},
    )


@dataclass(frozen=True)
class Evidence:
    """A clone whose .git has the shape we gave it, so that its objects may be read."""

    clone: Path
    head: str
    is_broken: bool = False
    """Whether its .git is something else by now; *head* is then the last that is known of it."""
    why: object = None
    """What is wrong with it then, in words."""
    snapshot_at: datetime | None = None
    """When the snapshot was taken that *head* is then of."""
    tree: str | None = None
    """That of its head, where that was fetched."""

    @property
    def objects(self) -> Path:
        """The clone's own objects."""
        return self.clone / ".git/objects"

    @property
    def excludes(self) -> Path | None:
        """The clone's private ignore patterns: text, and only text if it is a regular file."""
        path = self.clone / ".git/info/exclude"
        return path if is_plain(self.clone, ".git/info/exclude") else None

    @property
    def unfinished(self) -> str | None:
        """The name of what is under way in the clone and not committed yet."""
        names = (name for mark, name in UNFINISHED.items() if os.path.lexists(self.clone / ".git" / mark))
        return next(names, None)


def inspect(clone: Path, *, repository: Path | None) -> Evidence:
    """Read a clone's head without running git in it, since its configuration is the agent's to write.

    Raises `Conflict` when .git leads elsewhere, borrows objects from anywhere but *repository* (None: at
    all), or has no head.
    """
    for part in ("", ".git", ".git/objects", ".git/objects/info", ".git/objects/pack", ".git/refs"):
        if not is_directory(clone / part):
            raise unreadable(clone, f"{part or 'it'} is not a directory of its own")
    borrows = ".git/objects/info/alternates"
    allowed = alternates(repository) if repository else None
    # One that borrows from nowhere is whole, as a fresh clone is.
    if is_there(clone, borrows) and read_plain(clone, borrows, limit=LARGEST_TEXT) != (allowed or b""):
        raise unreadable(clone, f"{borrows} was changed")
    return Evidence(clone, _resolve(clone, "HEAD"))


def alternates(repository: Path) -> bytes:
    """What a clone's alternates file holds: the pipeline's repository, borrowed from and never written."""
    return os.fsencode(repository / "objects") + b"\n"


def giants(clone: Path) -> list[Path]:
    """The files of a clone that are too much for git to read, however often it tries; from its root."""
    found = (Path(directory, name) for directory, _, names in os.walk(clone) for name in names)
    return sorted(path.relative_to(clone) for path in found if _size(path) > LARGEST_READ)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _resolve(clone: Path, name: str) -> str:
    for _ in range(LONGEST_REF_CHAIN):
        content = read_plain(clone, f".git/{name}", limit=LARGEST_REF)
        text = (
            content.decode("utf-8", "replace").strip()
            if content is not None
            else packed_refs.find(clone, name)
        )
        if COMMIT.fullmatch(text):
            return text
        target = text.removeprefix("ref: ").strip()
        if target == text or not target.startswith("refs/") or ".." in target or "\0" in target:
            raise unreadable(clone, f"its {name} names no commit")
        name = target
    raise unreadable(clone, "its HEAD leads in a circle")
