"""Repositories to measure with: a small one, one with many files, and one with a long history."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMITTER = b"committer bench <bench@localhost> 1700000000 +0000\n"
IN_A_FOLDER = 100


@dataclass(frozen=True)
class Size:
    """How large a repository is to be."""

    name: str
    files: int = 10
    bytes_each: int = 200
    commits: int = 1

    @property
    def said(self) -> str:
        """It, for people."""
        if self.commits > 1:
            return f"{self.commits:,} commits"
        megabytes = self.files * self.bytes_each // 10**6
        return f"{self.files:,} files of {megabytes} MB" if megabytes else f"a small one, {self.files} files"


SMALL = Size("small")
WIDE = Size("wide", files=50_000, bytes_each=6_000)
LONG = Size("long", commits=50_000)


def make(place: Path, size: Size) -> Path:
    """Make a repository of a size in *place*, packed as one that was cloned is; nothing is checked out."""
    repository = place / size.name
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    command = ["git", "-C", str(repository), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None  # noqa: S101
        for piece in _told(size):
            importing.stdin.write(piece)
    assert importing.returncode == 0, "git could not import it"  # noqa: S101
    return repository


def _told(size: Size) -> Iterator[bytes]:
    """What git is to import: all files in the first commit, then one changed line a commit."""
    yield b"commit refs/heads/main\n" + COMMITTER + _data(b"first")
    yield b"M 100644 inline .gitignore\n" + _data(b"deps/\n")
    for number in range(size.files):
        path = f"folder{number // IN_A_FOLDER}/file{number}.txt"
        # As text that compresses to a half, as sources do.
        yield f"M 100644 inline {path}\n".encode() + _data(os.urandom(size.bytes_each // 2).hex().encode())
    for number in range(1, size.commits):
        yield b"commit refs/heads/main\n" + COMMITTER + _data(b"next")
        yield b"M 100644 inline folder0/file0.txt\n" + _data(f"line {number}\n".encode())
    yield b"done\n"


def _data(body: bytes) -> bytes:
    return f"data {len(body)}\n".encode() + body + b"\n"
