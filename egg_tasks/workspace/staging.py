"""Filling an index with what an agent left uncommitted, on top of its head and of nothing else.

What the agent has not touched stays as the head has it. A file is saved as the agent's own git would
save it: staged content as it was staged, a file by the conversions git has built in, a large file (LFS)
as pointer and content. What only a filter of the agent's could make of a file is not guessed.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import structlog

from egg_tasks.foreign_files import is_directory, open_plain
from egg_tasks.workspace import lfs
from egg_tasks.workspace.changes import Change, changes, entries, filters
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import readable
from egg_tasks.workspace.lfs import LARGEST_POINTER, Pointer
from egg_tasks.workspace.view import View
from models.foreign import indented

log = structlog.get_logger()

TOGETHER = 10_000
"""So many files are staged at once."""
MOST_FAILURES = 500
MOST_REPORTED = 200
"""So many files are named that could not be saved."""
LARGEST_SAVED_FILE = 1024 * 1024 * 1024
SAVE_LIMIT = timedelta(minutes=15)
"""How long git may take over an agent's work: nobody waits for it, and a second try takes as long."""


@dataclass
class Staging:
    """An index of ours being filled with an agent's files."""

    view: View
    git: Git
    """The view's, with an index that holds the head and what was staged since."""
    store: Path
    """The .git directory to which the contents of large files go."""
    kept: list[bytes]
    failures: int = 0
    """How often git would not stage something."""

    @classmethod
    def of(cls, view: View, *, store: Path) -> "Staging":
        """An index that holds the clone's head, beside the view's own."""
        git = replace(view.git, index=view.git.directory / "staging")
        git.run("read-tree", view.head)
        return cls(view, git, store, [])

    def write(self, found: Sequence[Change]) -> str:
        """The tree of the head with these changes."""
        self._enter([change for change in found if change.is_staged and self._is_settled(change)])
        on_disk = [change for change in found if change.is_unstaged]
        large = [change for change in on_disk if change.filter == lfs.FILTER and self._is_file(change)]
        foreign = [
            change for change in on_disk if change.filter not in {None, lfs.FILTER} and self._is_file(change)
        ]
        self.kept += [change.path for change in foreign]
        self._keep_large(large)
        special = {change.path for change in (*large, *foreign)}
        self._read([change.path for change in on_disk if change.path not in special])
        return self.git.line("write-tree")

    def report(self) -> str:
        """The lines of the commit's message that name what is kept, of which none is a trailer."""
        if not self.kept:
            return ""
        names = sorted(self.kept)
        more = f"and {len(names) - MOST_REPORTED} more\n" if len(names) > MOST_REPORTED else ""
        lines = indented("\n".join(map(readable, names[:MOST_REPORTED])))
        return f"\nNot saved, still in the clone:\n{lines}\n{more}"

    def _is_settled(self, change: Change) -> bool:
        """Whether what is staged is what there is: the file is the same, or cannot be saved itself.

        That an index has forgotten a file which is there is no wish to delete it.
        """
        return not change.is_unstaged or (change.filter is not None and not change.is_new)

    def _enter(self, settled: Iterable[Change]) -> None:
        """Take over what the agent has staged; from disk where the clone no longer has the staged content."""
        paths = {change.path for change in settled}
        if not paths:
            return
        known = entries(self.view.git, paths)
        asked = b"".join(entry.blob + b"\n" for entry in known.values())
        answers = self.git.run("cat-file", "--batch-check", stdin=asked).splitlines() if asked else []
        missing = {answer.split(b" ")[0] for answer in answers if answer.endswith(b" missing")}
        nothing = b"0" * len(self.view.head)
        lines = (
            b"%s %s\t%s\0"
            % ((known[path].mode, known[path].blob, path) if path in known else (b"0", nothing, path))
            for path in sorted(paths)
            if path not in known or known[path].blob not in missing or known[path].mode == b"160000"
        )
        self.git.run("update-index", "-z", "--index-info", stdin=b"".join(lines))
        self._read(
            [path for path, entry in known.items() if entry.blob in missing and entry.mode != b"160000"]
        )

    def _keep_large(self, found: Iterable[Change]) -> None:
        """Stage pointers in the place of large files, all of them at once: an index is written as a whole."""
        folder = self.git.directory / "pointers"
        folder.mkdir()
        pointed: list[bytes] = []
        for change in found:
            content = self._pointer(change.path)
            if content is None:
                self.kept.append(change.path)
                continue
            (folder / str(len(pointed))).write_bytes(content)
            pointed.append(change.path)
        names = "".join(f"{folder / str(number)}\n" for number in range(len(pointed))).encode()
        blobs = self.git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names).split()
        self._put(zip(pointed, blobs, strict=True))

    def _pointer(self, path: bytes) -> bytes | None:
        """What stands in a commit for a large file, its content kept; a file that is a pointer is itself."""
        file = open_plain(self.view.clone, os.fsdecode(path))
        if file is None:
            return None
        with file:
            start = file.read(LARGEST_POINTER)
            if Pointer.parse(start):
                return start
            file.seek(0)
            pointer = Pointer.of(file)
            file.seek(0)
            is_kept = pointer is not None and lfs.take(pointer, file, target=self.store)
            return pointer.content if pointer and is_kept else None

    def _is_file(self, change: Change) -> bool:
        """Whether a path is a file now: no filter has a say in links, and in what is gone."""
        try:
            return stat.S_ISREG(self._place(change.path).lstat().st_mode)
        except OSError:
            return False

    def _read(self, paths: Iterable[bytes]) -> None:
        fit = [path for path in sorted(paths) if self._fits(path)]
        for at in range(0, len(fit), TOGETHER):
            self._stage(fit[at : at + TOGETHER])
            if at + TOGETHER < len(fit):
                log.info("salvage.under_way", clone=str(self.view.clone), saved=at + TOGETHER, of=len(fit))

    def _fits(self, path: bytes) -> bool:
        try:
            found = self._place(path).lstat()
            # What is neither file, link nor (for what was one) directory, git does not stage.
            is_odd = not (
                stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode) or stat.S_ISDIR(found.st_mode)
            )
            fits = found.st_size <= LARGEST_SAVED_FILE and not is_odd
        except (FileNotFoundError, NotADirectoryError):
            # Gone. In an index of ours nobody knows why: perhaps it was never checked out.
            fits = self.view.is_agents
        except OSError:
            fits = False
        if not fits:
            self.kept.append(path)
        return fits

    def _stage(self, paths: Sequence[bytes]) -> None:
        """Stage paths together, or in halves until the one that cannot be staged is alone."""
        if not paths:
            return
        if self.failures > MOST_FAILURES:
            # Each costs a git that writes the whole index: so many are somebody's purpose.
            self.kept += paths
            return
        try:
            listed = b"".join(path + b"\0" for path in paths)
            self.git.run(
                "update-index", "--add", "--remove", "--replace", "-z", "--stdin",
                stdin=listed, timeout=SAVE_LIMIT,
            )  # fmt: skip
        except GitFailed:
            self.failures += 1
            if len(paths) == 1:
                self._stage_as_it_is(paths[0])
                return
            half = len(paths) // 2
            self._stage(paths[:half])
            self._stage(paths[half:])

    def _stage_as_it_is(self, path: bytes) -> None:
        """Stage a file without the conversions its attributes ask for, which may be why it failed."""
        file = open_plain(self.view.clone, os.fsdecode(path))
        if file is None:
            self.kept.append(path)
            return
        try:
            with file:
                blob = self.git.run("hash-object", "-w", "--no-filters", "--stdin", stdin=file).strip()
            self._put([(path, blob)])
        except (OSError, GitFailed):
            self.kept.append(path)

    def _put(self, blobs: Iterable[tuple[bytes, bytes]]) -> None:
        """Stage blobs as files, by path; each replaces whatever stood in its way."""
        lines = b"".join(b"%s %s\t%s\0" % (self._mode(path), blob, path) for path, blob in blobs)
        if lines:
            self.git.run("update-index", "--replace", "-z", "--index-info", stdin=lines, timeout=SAVE_LIMIT)

    def _mode(self, path: bytes) -> bytes:
        return b"100755" if self._place(path).lstat().st_mode & stat.S_IXUSR else b"100644"

    def _place(self, path: bytes) -> Path:
        return self.view.clone / os.fsdecode(path)


def to_save(view: View) -> Iterator[Change]:
    """What is not committed, with the files of repositories inside the clone, which git names as wholes."""
    for change in changes(view):
        if change.path.endswith(b"/"):
            inside = list(_nested_files(view, change.path))
            named = filters(view.git, inside)
            yield from (Change(path, is_unstaged=True, filter=named.get(path)) for path in inside)
        else:
            yield change


def _nested_files(view: View, nested: bytes) -> Iterator[bytes]:
    """Files of a repository inside the clone, which git would save as a mere commit id."""
    root = view.clone / nested.decode("utf-8", "surrogateescape")
    if not is_directory(root):
        return
    # Seen from inside, with an empty index, its files are simply new ones.
    within = replace(view.git, work_tree=root, index=view.git.directory / "nested")
    for path in within.run("ls-files", "-z", "--others", "--exclude-standard").split(b"\0"):
        if path.endswith(b"/"):
            yield from _nested_files(view, nested + path)
        elif path:
            yield nested + path
