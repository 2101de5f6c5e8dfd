"""Putting the contents of large files (LFS) into a fresh checkout, where git has put their pointers.

git shall find nothing changed there, whether or not `git-lfs` is on the machine: so the checkout's index is
told what each such file is like on disk, as git itself notes it of every file it writes.
"""

import hashlib
import os
import shutil
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from egg_tasks.foreign_files import read_plain
from egg_tasks.workspace import lfs
from egg_tasks.workspace.changes import WORD, filters
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.lfs import LARGEST_POINTER, Pointer

SETTLED_NS = 3_000_000_000
"""So long ago a content is said to have been written: what is newer than its index, git reads again."""
STAT = struct.Struct(">10I")
HEAD = struct.Struct(">4sII")
DIGESTS = {40: hashlib.sha1, 64: hashlib.sha256}
"""The checksum of an index, by the length of its repository's ids."""
FILTER = """\
[filter "lfs"]
	clean = git-lfs clean -- %f
	smudge = git-lfs smudge -- %f
	process = git-lfs filter-process
	required = true
[lfs]
	skipdownloaderrors = true
"""


def fill(checkout: Git, *, head: str, store: Path) -> None:
    """Put what *store*, a .git directory, has of a fresh checkout's large files in the place of pointers.

    The checkout's own .git gets a copy, too, as git-lfs has it. *head* is a full commit id. No filter is
    run, and no file is linked to the store's: an agent may write into its own.
    """
    tree = checkout.work_tree
    if tree is None or not (store / "lfs").is_dir():
        return
    index = checkout.directory / "index"
    content = bytearray(index.read_bytes())
    digits = len(head)
    small = {path: at for path, at, size in _entries(content, digits // 2) if size < LARGEST_POINTER}
    named = [path for path, name in filters(checkout, small).items() if name == lfs.FILTER]
    placed = {
        small[path]: found for path in named if (found := _place(tree, path, store, checkout.directory))
    }
    if placed:
        index.write_bytes(_noted(content, placed, digits))


def define_filter(directory: Path) -> None:
    """Have the agent's git make pointers of large files, where there is a git-lfs for it to run.

    Not before the checkout is made: we do not run it.
    """
    if shutil.which("git-lfs"):
        with (directory / "config").open("a") as config:
            config.write(FILTER)


def _place(tree: Path, path: bytes, store: Path, directory: Path) -> os.stat_result | None:
    """Put one content in its place; what the file is like now, or None if it stays as it is."""
    name = os.fsdecode(path)
    pointer = Pointer.parse(read_plain(tree, name, limit=LARGEST_POINTER) or b"")
    if pointer is None or not lfs.bring(pointer, source=store, target=directory):
        return None
    with (tree / name).open("wb") as file, (directory / pointer.place).open("rb") as source:
        shutil.copyfileobj(source, file, lfs.PIECE)
    then = time.time_ns() - SETTLED_NS
    os.utime(tree / name, ns=(then, then))
    return (tree / name).lstat()


def _entries(content: bytes | bytearray, length: int) -> Iterator[tuple[bytes, int, int]]:
    """The entries of an index that git has just written: path, where it begins, and its file's size.

    An id has *length* bytes. None are given for a form of index that a fresh checkout does not have.
    """
    signature, form, count = HEAD.unpack_from(content)
    at = HEAD.size
    if signature != b"DIRC" or form != 2:  # noqa: PLR2004 # the form without extras
        return
    for _ in range(count):
        begins = at + STAT.size + length + 2
        ends = content.index(b"\0", begins)
        yield bytes(content[begins:ends]), at, STAT.unpack_from(content, at)[9]
        at += (ends - at + 8) // 8 * 8


def _noted(content: bytearray, placed: Mapping[int, os.stat_result], digits: int) -> bytes:
    """The index with what files are like noted at their entries."""
    for at, found in placed.items():
        mode = STAT.unpack_from(content, at)[6]
        changed, modified = (divmod(ns, 1_000_000_000) for ns in (found.st_ctime_ns, found.st_mtime_ns))
        numbers = (found.st_dev, found.st_ino, mode, found.st_uid, found.st_gid, found.st_size)
        STAT.pack_into(content, at, *(number & WORD for number in (*changed, *modified, *numbers)))
    body = bytes(content[: -digits // 2])
    return body + DIGESTS[digits](body).digest()
