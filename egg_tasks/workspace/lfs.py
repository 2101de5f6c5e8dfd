"""The contents of large files (Git LFS): pointers are in commits, contents beside the repository.

A pointer names its content by size and SHA-256, so all that is done here needs no `git-lfs`, which reads
a configuration its repository's authors write and is never run by us.
"""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from egg_tasks.foreign_files import is_plain, open_plain
from egg_tasks.workspace import bounds
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.names import SNAPSHOTS, checked_commit
from models.errors import Conflict, Unavailable
from models.schemas.source import is_remote, local_path

FILTER = b"lfs"
LARGEST_POINTER = 1024
LARGEST_OBJECT = 16 * 1024**3
LARGEST_TOGETHER = 32 * 1024**3
"""Bytes of contents that come with one version."""
LEAST_FREE = 1024**3
"""Bytes that contents leave free on the disk, so that everything else goes on."""
LEFT_AFTER_SECONDS = 24 * 3600
LIMIT = timedelta(minutes=15)
PIECE = 1024 * 1024
POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>[0-9]{1,15})\n?"
)
BESIDE = ("--exclude=refs/heads/egg/*", f"--exclude={SNAPSHOTS}*")
BEGINNING = (*BESIDE, "--exclude=refs/egg/taken/*", "--all")
"""All that a pipeline's repository began with, as `rev-list` takes it."""
SMALL_BLOBS = f"--filter=combine:blob:limit={LARGEST_POINTER}+object:type=blob"


@dataclass(frozen=True)
class Pointer:
    """What stands in a commit for a large file."""

    oid: str
    size: int

    @classmethod
    def parse(cls, content: bytes) -> "Pointer | None":
        """The pointer that a file's content is, or None."""
        found = POINTER.fullmatch(content) if len(content) < LARGEST_POINTER else None
        return cls(found["oid"].decode(), int(found["size"])) if found else None

    @classmethod
    def of(cls, file: IO[bytes]) -> "Pointer | None":
        """The pointer of a file's content, which is read to its end; None for what is too large."""
        if os.fstat(file.fileno()).st_size > LARGEST_OBJECT:
            return None
        digest, size = hashlib.sha256(), 0
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
        return cls(digest.hexdigest(), size)

    @property
    def content(self) -> bytes:
        """The pointer as `git-lfs` writes it; an empty file stands for itself."""
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n"
        return text.encode() if self.size else b""

    @property
    def place(self) -> str:
        """Where its content is, below a .git directory."""
        return f"lfs/objects/{self.oid[:2]}/{self.oid[2:4]}/{self.oid}"

    def is_in(self, directory: Path) -> bool:
        """Whether a .git directory of ours holds its content, which was checked when it came."""
        return is_plain(directory, self.place)


@dataclass(frozen=True)
class Pointed:
    """A pointer in a commit, by one of its paths."""

    pointer: Pointer
    blob: str
    path: bytes


def copy_lfs(git: Git, commits: Iterable[str], *, into: Path) -> None:
    """Copy what the pointers in *commits* name, in their trees and in what is new, as far as it is here.

    *into* is the .git directory (or bare repository) that shall hold them, at git-lfs's usual place; what is
    there already is left alone. Contents are checked against their names while they are copied. Nothing
    happens, and no git is run, where the repository holds no such contents. Raises `Unavailable` when the
    disk refuses.
    """
    if not (git.directory / "lfs").is_dir():
        return
    asked = [checked_commit(commit) for commit in commits]
    since = ["--not", "--exclude=egg/*", "--branches", "--tags"]
    for pointed in (*pointers(git, "--no-walk", *asked), *pointers(git, *asked, *since)):
        bring(pointed.pointer, source=git.directory, target=into)


def adopt(git: Git, commit: str, *, source: str) -> None:
    """Copy the contents that a commit's tree points to from the user's repository, if that is a directory.

    It is only read. What it does not have stays a pointer.
    """
    path = Path(local_path(source))
    if is_remote(source) or not path.is_dir():
        return
    inside = path / ".git"
    try:
        theirs = Git(inside, work_tree=path) if inside.exists() else Git(path)
        common = path / theirs.line("rev-parse", "--git-common-dir")
    except GitFailed:
        return
    if (common / "lfs/objects").is_dir():
        for pointed in pointers(git, "--no-walk", checked_commit(commit)):
            bring(pointed.pointer, source=common, target=git.directory)


def bring_new(git: Git, commit: str, *, clone: Path) -> list[Pointed]:
    """Bring in what the pointers that are new in *commit* name; those whose content is not to be found.

    New are those in no version that was taken, and not in what the pipeline's repository began with.
    Raises `Conflict` where they are more than one version may bring, and `TookTooLong` where there is no time
    for all of them: those that came are there the next time.
    """
    found = pointers(git, checked_commit(commit), "--not", *BESIDE, "--all")
    missing, size = [], 0
    for pointed in found:
        bounds.seconds_left(LIMIT, f"copying large files of {clone}")
        if not pointed.pointer.is_in(git.directory):
            size += min(pointed.pointer.size, LARGEST_OBJECT)
        if size > LARGEST_TOGETHER:
            raise Conflict(
                f"The large files (LFS) that are new in {commit} have more than {LARGEST_TOGETHER} bytes: "
                "commit less of them, then signal READY again"
            )
        if not _bring_from(clone, pointed, target=git.directory):
            missing.append(pointed)
    # `--not` passes over the trees where histories part: what is from before that may be taken up again.
    old = _blobs(git, *BEGINNING) if missing else frozenset()
    return [pointed for pointed in missing if pointed.blob not in old]


def _blobs(git: Git, *revisions: str) -> frozenset[str]:
    return frozenset(git.lines("rev-list", "--objects", "--no-object-names", SMALL_BLOBS, *revisions))


def _bring_from(clone: Path, pointed: Pointed, *, target: Path) -> bool:
    if bring(pointed.pointer, source=clone / ".git", target=target):
        return True
    # Perhaps it was pruned from there, and is still the file itself.
    file = open_plain(clone, os.fsdecode(pointed.path))
    if file is None:
        return False
    with file:
        return take(pointed.pointer, file, target=target)


def pointers(git: Git, *revisions: str) -> Iterator[Pointed]:
    """The pointers among the objects that revisions lead to, each once, as `rev-list` takes them."""
    listed = git.run("rev-list", "--objects", SMALL_BLOBS, "--filter-provided-objects", *revisions)
    paths = {blob: path for line in listed.splitlines() for blob, _, path in [line.partition(b" ")] if path}
    for blob, content in contents(git, paths):
        pointer = Pointer.parse(content)
        if pointer is not None:
            yield Pointed(pointer, blob.decode(), paths[blob])


def contents(git: Git, blobs: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Names of blobs with what they hold; for few or small ones, since all of it is held at once."""
    asked = b"".join(blob + b"\n" for blob in blobs)
    output = git.run("cat-file", "--batch", stdin=asked) if asked else b""
    at = 0
    while at < len(output):
        head, _, _ = output[at : at + LARGEST_POINTER].partition(b"\n")
        at += len(head) + 1
        blob, *kind = head.split(b" ")
        if len(kind) == 2:  # noqa: PLR2004 # type and size; else it is missing
            size = int(kind[1])
            yield blob, output[at : at + size]
            at += size + 1


def bring(pointer: Pointer, *, source: Path, target: Path) -> bool:
    """Copy a content from one .git directory to another unless it is there; whether it is there now.

    What does not match its name is not taken.
    """
    if pointer.is_in(target):
        return True
    file = open_plain(source, pointer.place)
    if file is None:
        return False
    with file:
        return take(pointer, file, target=target)


def take(pointer: Pointer, file: IO[bytes], *, target: Path) -> bool:
    """Copy what *pointer* names from an open file; whether it was that, and is there now."""
    if pointer.size > LARGEST_OBJECT or os.fstat(file.fileno()).st_size != pointer.size:
        return False
    place = target / pointer.place
    try:
        # Where git-lfs itself keeps, and clears away, what is half there.
        unfinished = target / "lfs/tmp"
        for folder in (place.parent, unfinished):
            folder.mkdir(parents=True, exist_ok=True)
        _make_room(unfinished, pointer)
        with tempfile.NamedTemporaryFile(dir=unfinished, prefix=pointer.oid, delete=False) as draft:
            try:
                is_it = _copy(file, draft, pointer)
                if is_it:
                    os.fchmod(draft.fileno(), 0o644)
                    os.fsync(draft.fileno())
                    Path(draft.name).rename(place)
                    settle(place.parent)
            finally:
                Path(draft.name).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"{place} cannot be written: {error.strerror or error}") from error
    return is_it


def _make_room(unfinished: Path, pointer: Pointer) -> None:
    """Remove what copies that were killed left; `Unavailable` if there is still no room for this one."""
    for left in unfinished.iterdir():
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - LEFT_AFTER_SECONDS:
                left.unlink()
    if shutil.disk_usage(unfinished).free < pointer.size + LEAST_FREE:
        raise Unavailable(f"there is no room for {pointer.size} bytes in {unfinished}: free some space there")


def settle(directory: Path) -> None:
    """Have a directory's entries outlive a power cut: the row that speaks of them does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(file: IO[bytes], draft: IO[bytes], pointer: Pointer) -> bool:
    digest, left = hashlib.sha256(), pointer.size
    while left and (piece := file.read(min(PIECE, left))):
        digest.update(piece)
        # What is empty in the file stays so in the copy: it may be a hole of terabytes.
        if piece.count(0) == len(piece):
            draft.seek(len(piece), os.SEEK_CUR)
        else:
            draft.write(piece)
        left -= len(piece)
    draft.truncate(pointer.size - left)
    return not left and digest.hexdigest() == pointer.oid
