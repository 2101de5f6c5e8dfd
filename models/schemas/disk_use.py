"""What a run takes of the disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.foreign import one_line
from models.sizes import in_words

NAMED = 3
BLOCK = 4096
"""The least that a file takes with something in it."""
WORTH_NAMING = 20
"""A directory is named that has one part in so many of all."""


@dataclass(frozen=True)
class Directory:
    """A directory of a run's, and the bytes in it."""

    path: str
    """From EGG_HOME on; its name may be an agent's."""
    size: int


@dataclass(frozen=True)
class DiskUse:
    """All that a run takes, and what it may."""

    size: int
    """Bytes, as the disk counts."""
    limit: int
    places: Sequence[Directory]
    """Where most of it is, the largest first."""
    files: int = 0
    """How many files and directories that is, each of which takes an inode, empty or not."""
    uncounted: str = ""
    """Why there may be any amount beside that; empty where all is counted."""

    @property
    def is_too_much(self) -> bool:
        """Whether it is more than it may be, or nobody can say that it is not."""
        return bool(self.uncounted) or self.is_more

    @property
    def is_more(self) -> bool:
        """Whether what is counted is more than it may be."""
        return self.size > self.limit or self.files > self.most_files

    @property
    def most_files(self) -> int:
        """How many files it may have: no more with nothing in them than there could be with something."""
        return self.limit // BLOCK

    def __str__(self) -> str:
        if self.uncounted:
            return (
                f"what its clone, its role's HOME and its output take of the disk cannot be counted:"
                f" {self.uncounted}; {in_words(self.limit)} is what they may (`isolation.disk`)"
            )
        if self.size <= self.limit:
            return (
                f"its clone, its role's HOME and its output have {self.files} files, and {self.most_files} is"
                f" what they may, one for each {BLOCK} bytes of `isolation.disk`"
            )
        large = [each for each in self.places[:NAMED] if each.size >= self.size // WORTH_NAMING]
        most = ", ".join(f"{one_line(each.path)} ({in_words(each.size)})" for each in large)
        return (
            f"its clone, its role's HOME and its output take {in_words(self.size)} of the disk, and"
            f" {in_words(self.limit)} is what they may (`isolation.disk`); most is in {most}"
        )
