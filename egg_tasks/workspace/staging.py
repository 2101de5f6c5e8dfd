"""Filling an index with an agent's files, whatever state they are in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egg_tasks.workspace.clones import Evidence, is_plain
from egg_tasks.workspace.git import Git, GitFailed
from egg_tasks.workspace.history import readable
from egg_tasks.workspace.versions import look

LARGEST_SAVED_FILE = 1024 * 1024 * 1024


@dataclass
class Staging:
    """An index of ours being filled with an agent's files."""

    git: Git
    work_tree: Path
    left_out: list[bytes]

    @classmethod
    def of(cls, git: Git, evidence: Evidence, directory: Path) -> "Staging":
        """An index that holds the clone's head, in a directory of ours."""
        index = evidence.clone.with_name("clone.index")
        return cls(look(git, evidence, directory, index=index), evidence.clone, [])

    def write(self, paths: Sequence[bytes]) -> str:
        """The tree of the files, those in *paths* read anew."""
        fit = [path for path in paths if self._fits(path)]
        self.left_out += [path for path in paths if path not in set(fit)]
        self._stage(fit)
        return self.git.line("write-tree")

    def report(self) -> str:
        """The lines of the commit's message that name what was left out."""
        if not self.left_out:
            return ""
        return "\nNot saved (unreadable, or too large):\n" + "\n".join(map(readable, self.left_out)) + "\n"

    def _fits(self, path: bytes) -> bool:
        file = self.work_tree / path.decode("utf-8", "surrogateescape")
        try:
            return file.lstat().st_size <= LARGEST_SAVED_FILE
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _stage(self, paths: Sequence[bytes]) -> None:
        """Stage paths together, or in halves until the one that cannot be staged is alone."""
        if not paths:
            return
        try:
            listed = b"".join(path + b"\0" for path in paths)
            self.git.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=listed)
        except GitFailed:
            if len(paths) == 1:
                self._stage_as_it_is(paths[0])
                return
            half = len(paths) // 2
            self._stage(paths[:half])
            self._stage(paths[half:])

    def _stage_as_it_is(self, path: bytes) -> None:
        """Stage a file without the conversions its attributes ask for, which may be why it failed."""
        name = path.decode("utf-8", "surrogateescape")
        if not is_plain(self.work_tree, name):
            self.left_out.append(path)
            return
        try:
            with (self.work_tree / name).open("rb") as file:
                blob = (
                    self.git.run("hash-object", "-w", "--no-filters", "--stdin", stdin=file).decode().strip()
                )
            entry = f"100644 {blob}\t".encode() + path + b"\0"
            self.git.run("update-index", "-z", "--index-info", stdin=entry)
        except (OSError, GitFailed):
            self.left_out.append(path)
