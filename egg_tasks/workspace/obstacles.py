"""What keeps git from looking at a clone: things it opens by name that are no file it could read to an end.

git waits for ever for a pipe called HEAD, reads a sparse .gitignore of a terabyte, and follows links and
`.git` files out of the clone to such things. So what it opens by name is looked at before git is.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from egg_tasks.foreign_files import (
    LARGEST_INDEX,
    LARGEST_PACKED_REFS,
    LARGEST_REF,
    LARGEST_TEXT,
    read_plain,
)
from egg_tasks.workspace import bounds, packed_refs
from models.errors import Conflict
from models.foreign import named, one_line

RULES = frozenset({".gitattributes", ".gitignore", ".gitmodules"})
HOOKS = "hooks"
"""Never run, nor looked at."""
UNFINISHED = re.compile(r"tmp_[a-z]+_\w+")
"""What git calls a file of objects that it has not written to the end, and never opens."""
SOCKET = ".ipc"
"""How a file ends through which git's own programs talk to one another; never opened by us."""
LARGEST_SHALLOW = 16 * 1024**2
LARGEST_LOOSE = 2 * 1024**3
LARGEST_PACK = 16 * 1024**3
SIZES = {
    "refs": LARGEST_REF, "packed-refs": LARGEST_PACKED_REFS, "index": LARGEST_INDEX, "config": LARGEST_TEXT,
    "config.worktree": LARGEST_TEXT, "commondir": LARGEST_REF, "gitdir": LARGEST_REF,
    "shallow": LARGEST_SHALLOW, "info": LARGEST_TEXT, "objects": LARGEST_LOOSE,
}  # fmt: skip
"""Bytes of what lies in a .git directory under such a name at most; what is not named, git does not open."""
FOLDERS = frozenset({"refs", "objects", "info", "logs", "lfs"})
"""What git has folders for in a .git directory; the contents of large files others check."""
POINTERS = frozenset({"commondir"})
"""Files of a .git directory that say where another one is."""
KINDS = (
    (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)  # fmt: skip
OUT = "leads out of the clone"
FEWER = " (with fewer branches and tags it has less: `git branch -D`, `git tag -d`)"
MOST = 20
"""So many are looked for."""
EACH = 500
"""So many entries are read between two looks at the time."""
LIMIT = timedelta(minutes=2)


@dataclass(frozen=True)
class Obstacle:
    """One of them."""

    path: str
    """From the clone's root."""
    why: str
    """What it is."""

    def __str__(self) -> str:
        return f"{one_line(self.path)}, which {self.why}"

    @property
    def is_in_root(self) -> bool:
        """Whether it lies in the clone's own .git, of which git of ours opens the objects alone."""
        return self.path.split("/", 1)[0] == ".git"

    @property
    def hides_commits(self) -> bool:
        """Whether git of ours would open it to read the clone's commits."""
        return self.path.startswith(".git/objects/")


def refuse(clone: Path) -> None:
    """Raise `Conflict` naming what git would have to open and cannot."""
    found = obstacles(clone)
    if found:
        raise Conflict(
            f"The clone {clone} cannot be looked at: git would have to open {named(found)}. Remove what you "
            "have put there, then signal READY again",
            {"clone": str(clone), "paths": [one_line(each.path) for each in found]},
        )


def obstacles(clone: Path) -> list[Obstacle]:
    """The first of them, by path. Raises `TookTooLong` where there is more than can be looked through."""
    return sorted(islice(_found(clone), MOST), key=lambda each: each.path)


def _found(clone: Path) -> Iterator[Obstacle]:
    root = os.path.realpath(clone)
    waiting, seen = [("", False)], 0
    while waiting:
        directory, is_git = waiting.pop()
        try:
            entries = os.scandir(os.path.join(root, directory))  # noqa: PTH118 - text, much faster
        except OSError:
            # Nor will git be able to enter it.
            continue
        with entries:
            for entry in entries:
                seen += 1
                if seen % EACH == 0:
                    bounds.seconds_left(LIMIT, f"Looking through {clone}")
                path = f"{directory}/{entry.name}" if directory else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not (is_git and entry.name == HOOKS and _kept_in(root, path) is None):
                        waiting.append((path, is_git or entry.name == ".git"))
                elif is_git or entry.name == ".git" or entry.name in RULES:
                    why = _why(root, path, entry, is_git=is_git)
                    if why:
                        yield Obstacle(path, why)


def _why(root: str, path: str, entry: "os.DirEntry[str]", *, is_git: bool) -> str | None:
    """What is wrong with something that is no directory."""
    is_link = entry.is_symlink()
    try:
        found = entry.stat()
    except OSError:
        # It leads nowhere, and opening it fails at once.
        return None
    if is_git and entry.name.endswith(SOCKET) and _kept_in(root, path) is None:
        return None
    if kind := next((words for asks, words in KINDS if asks(found.st_mode)), None):
        return f"leads to {kind}" if is_link else f"is no file but {kind}"
    if not is_git:
        return _of_tree(root, path, entry.name, found, is_link=is_link)
    kept_in = _kept_in(root, path)
    if is_link and (kept_in == "objects" or stat.S_ISDIR(found.st_mode)):
        return "is a link"
    if entry.name in POINTERS and not _stays(root, path, _said(root, path)):
        return OUT
    way_out = FEWER if entry.name == packed_refs.NAME else ""
    return _too_large(found, _limit(kept_in, entry.name), way_out)


def _of_tree(root: str, path: str, name: str, found: os.stat_result, *, is_link: bool) -> str | None:
    """What is wrong with a file of rules, or with what stands for a .git directory."""
    if name != ".git":
        return _too_large(found, LARGEST_TEXT)
    if is_link:
        return None if _stays(root, path, str(Path(root, path).readlink())) else OUT
    if found.st_size > LARGEST_REF:
        return _too_large(found, LARGEST_REF)
    said = _said(root, path)
    if not said.startswith("gitdir:"):
        return None
    return None if _stays(root, path, said.removeprefix("gitdir:").strip()) else OUT


def _said(root: str, path: str) -> str:
    content = read_plain(Path(root), path, limit=LARGEST_REF) or b""
    return os.fsdecode(content).strip()


def _stays(root: str, path: str, target: str) -> bool:
    """Whether what a file or a link at *path* leads to lies in a .git directory of the clone."""
    if "\0" in target:
        return True
    place = os.path.realpath(os.path.join(root, os.path.dirname(path), target))  # noqa: PTH118, PTH120
    return place.startswith(f"{root}/") and ".git" in place.removeprefix(root).split("/")


def _kept_in(root: str, path: str) -> str | None:
    """The folder of a .git directory in which a path lies: refs, objects, info, logs, lfs or none.

    A submodule or a worktree may be called so as well: git takes for its own only what has a HEAD beside it.
    """
    *folders, _ = path.split("/")
    own = folders.index(".git") + 1
    for at, folder in enumerate(folders[own:], start=own):
        if folder in FOLDERS and (at == own or os.path.lexists("/".join((root, *folders[:at], "HEAD")))):
            return folder
    return None


def _limit(kept_in: str | None, name: str) -> int | None:
    """How large a file in a .git directory may be; None for one that git does not open."""
    if kept_in == "objects" and name.endswith((".pack", ".idx")):
        return LARGEST_PACK
    if kept_in in {"logs", "lfs"}:
        return None
    if (kept_in == "objects" and UNFINISHED.fullmatch(name)) or (kept_in == "refs" and name[0] == "."):
        return None
    if name == "HEAD":
        return LARGEST_REF
    return SIZES.get(kept_in or name)


def _too_large(found: os.stat_result, limit: int | None, way_out: str = "") -> str | None:
    if limit is None or found.st_size <= limit:
        return None
    return f"has {found.st_size} bytes, and {limit} at most are read{way_out}"
