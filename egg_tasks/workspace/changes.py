"""What a clone holds that its head does not, as its agent's own git would say it."""

import hashlib
import os
import re
import stat
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from egg_tasks.foreign_files import open_plain
from egg_tasks.workspace import lfs
from egg_tasks.workspace.git import Git
from egg_tasks.workspace.lfs import Pointer
from egg_tasks.workspace.view import View
from models.errors import Conflict
from models.git_names import SHA1_DIGITS

UNMERGED = frozenset({b"DD", b"AU", b"UD", b"UA", b"DU", b"AA", b"UU"})
ENTRY = re.compile(
    rb"(?P<mode>[0-7]{6}) (?P<blob>[0-9a-f]+) [0-3]\t(?P<path>[^\0]+)\0"
    rb"  ctime: (?P<ctime>[0-9]+:[0-9]+)\n  mtime: (?P<mtime>[0-9]+:[0-9]+)\n"
    rb"  dev: [0-9]+\tino: (?P<ino>[0-9]+)\n  uid: (?P<uid>[0-9]+)\tgid: (?P<gid>[0-9]+)\n"
    rb"  size: (?P<size>[0-9]+)\tflags: [0-9a-f]+\n"
)
MOST = 300_000
"""So many uncommitted files are told apart."""
LOOK_LIMIT = timedelta(seconds=120)
SECOND = 1_000_000_000
WORD = 0xFFFFFFFF
PART = 1024 * 1024
UNSET = frozenset({b"unspecified", b"unset", b"set"})


@dataclass(frozen=True, slots=True)
class Change:
    """One path in which the clone is not as its head."""

    path: bytes
    is_staged: bool = False
    """Whether the index differs from the head."""
    is_unstaged: bool = False
    """Whether the file differs from the index, or is not in it, or in conflict."""
    is_new: bool = False
    """Whether the agent's git has never been told of the file."""
    is_in_conflict: bool = False
    """Whether the index says several things of the file."""
    filter: bytes | None = None
    """The filter its attributes name, which only the agent's git may run."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What an index says of a file: its blob, and what the file was like when it was read or written."""

    mode: bytes
    blob: bytes
    fingerprint: tuple[int, ...]
    """ctime and mtime in nanoseconds, inode, user, group and size, as an index holds them."""

    def is_of(self, found: os.stat_result, *, written_ns: int) -> bool:
        """Whether the file is certainly the one that was looked at before the index was written."""
        changed_ns = self.fingerprint[0]
        if changed_ns % SECOND == 0 or changed_ns >= written_ns:
            # It may have been written to again in the very moment in which it was looked at.
            return False
        is_executable = bool(found.st_mode & stat.S_IXUSR)
        times = (found.st_ctime_ns, found.st_mtime_ns)
        numbers = (found.st_ino & WORD, found.st_uid & WORD, found.st_gid & WORD, found.st_size & WORD)
        return (*times, *numbers) == self.fingerprint and is_executable == (self.mode == b"100755")


def changes(view: View) -> list[Change]:
    """Everything uncommitted, by path. Runs no filter: who must know what one would say asks the index.

    Raises `Conflict` where that is more than can be told apart.

    A file that is byte for byte what the index says counts as unchanged, whatever its conversions (line
    ends, a filter) would make of it. A file with a filter of the agent's counts as unchanged also if it is
    certainly the file that the agent's git has looked at; a large file (LFS) if it is what its pointer names.
    """
    # Neither this nor anything it starts runs git in submodules, where the configuration is the agent's.
    listed = view.git.records(
        # What the index says of a file must stay as it is: status would write down what it found.
        "--no-optional-locks", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all",
        "--ignore-submodules=dirty", timeout=LOOK_LIMIT,
    )  # fmt: skip
    found: dict[bytes, Change] = {}
    for line in listed:
        states, path = line[:2], line[3:]
        both = states in UNMERGED
        one = found.get(path, Change(path))
        found[path] = replace(
            one,
            is_staged=one.is_staged or (not both and states[:1] not in {b" ", b"?"}),
            is_unstaged=one.is_unstaged or both or states[1:] != b" ",
            is_new=states == b"??",
            is_in_conflict=one.is_in_conflict or both,
        )
        if len(found) > MOST:
            raise Conflict(
                f"The clone {view.clone} has more than {MOST} uncommitted files: remove or ignore what does "
                "not belong (`git status`), commit the rest, then signal READY again",
                {"clone": str(view.clone)},
            )
    return list(_looked_at(view, _filtered(view.git, found)))


def filters(git: Git, paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """The filters that files' attributes name, by path, whether or not they are defined anywhere."""
    asked = b"".join(path + b"\0" for path in paths)
    if not asked:
        return {}
    answers = git.run("check-attr", "--stdin", "-z", "filter", stdin=asked).split(b"\0")
    named = zip(answers[0::3], answers[2::3], strict=False)
    return {path: name for path, name in named if name not in UNSET}


def entries(git: Git, paths: Container[bytes]) -> dict[bytes, IndexEntry]:
    """What the index says of each of these files, by path; of a path in conflict, the last it says."""
    found: dict[bytes, IndexEntry] = {}
    rest = b""
    for piece in git.pieces("ls-files", "-z", "-s", "--debug"):
        rest += piece
        ends = 0
        for each in ENTRY.finditer(rest):
            ends = each.end()
            if each["path"] in paths:
                found[each["path"]] = _entry(each)
        rest = rest[ends:]
    return found


def _filtered(git: Git, found: Mapping[bytes, Change]) -> list[Change]:
    named = filters(git, (path for path, change in found.items() if change.is_unstaged))
    return [replace(change, filter=named.get(path)) for path, change in found.items()]


def _looked_at(view: View, found: list[Change]) -> Iterator[Change]:
    """The changes, without those of files that are what the index says after all."""
    suspects = {c.path for c in found if c.is_unstaged and not (c.is_new or c.is_in_conflict)}
    known = entries(view.git, suspects) if suspects else {}
    certain = _as_committed(view, known)
    filtered = {c.path: c.filter for c in found if c.filter and c.path in known and c.path not in certain}
    if view.is_agents:
        certain |= {path for path in filtered if _is_certain(view, path, known[path])}
        large = {path for path, name in filtered.items() if name == lfs.FILTER}
        certain |= _as_pointed(view, {path: known[path].blob for path in large - certain})
    for change in found:
        is_unstaged = change.is_unstaged and change.path not in certain
        if is_unstaged or change.is_staged:
            yield replace(change, is_unstaged=is_unstaged)


def _as_committed(view: View, known: Mapping[bytes, IndexEntry]) -> set[bytes]:
    """Paths of files that are the blob the index names, before any conversion."""
    asked = b"".join(entry.blob + b"\n" for entry in known.values())
    answers = view.git.run("cat-file", "--batch-check", stdin=asked).splitlines() if asked else []
    # Only what has the blob's size is read, so that no file is larger than what is committed anyway.
    sizes = {words[0]: int(words[2]) for words in map(bytes.split, answers) if len(words) == 3}  # noqa: PLR2004
    return {path for path, entry in known.items() if _is_blob(view, path, entry, size=sizes.get(entry.blob))}


def _is_blob(view: View, path: bytes, entry: IndexEntry, *, size: int | None) -> bool:
    file = open_plain(view.clone, os.fsdecode(path))
    if file is None:
        return False
    with file:
        found = os.fstat(file.fileno())
        is_executable = bool(found.st_mode & stat.S_IXUSR)
        if found.st_size != size or entry.mode != (b"100755" if is_executable else b"100644"):
            return False
        digest = hashlib.new("sha1" if len(entry.blob) == SHA1_DIGITS else "sha256", usedforsecurity=False)
        digest.update(b"blob %d\0" % size)
        left = size
        while left and (part := file.read(min(left, PART))):
            digest.update(part)
            left -= len(part)
        return digest.hexdigest().encode() == entry.blob


def _is_certain(view: View, path: bytes, entry: IndexEntry) -> bool:
    try:
        found = (view.clone / os.fsdecode(path)).lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and entry.is_of(found, written_ns=view.written_ns or 0)


def _as_pointed(view: View, blobs: Mapping[bytes, bytes]) -> set[bytes]:
    """Paths of large files that are what the pointers in these blobs name."""
    held = dict(lfs.contents(view.git, set(blobs.values())))
    pointers = {path: Pointer.parse(held.get(blob, b"")) for path, blob in blobs.items()}
    return {path for path, pointer in pointers.items() if pointer and _is_named(view, path, pointer)}


def _is_named(view: View, path: bytes, pointer: Pointer) -> bool:
    file = open_plain(view.clone, os.fsdecode(path))
    if file is None:
        return False
    with file:
        return os.fstat(file.fileno()).st_size == pointer.size and Pointer.of(file) == pointer


def _entry(found: re.Match[bytes]) -> IndexEntry:
    changed, modified = (_nanoseconds(found[name]) for name in ("ctime", "mtime"))
    numbers = tuple(int(found[name]) for name in ("ino", "uid", "gid", "size"))
    return IndexEntry(found["mode"], found["blob"], (changed, modified, *numbers))


def _nanoseconds(text: bytes) -> int:
    seconds, _, rest = text.partition(b":")
    return int(seconds) * SECOND + int(rest)
