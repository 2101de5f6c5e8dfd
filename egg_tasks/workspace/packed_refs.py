"""The file in which a repository has all its refs at once, `packed-refs`: written whole, read piece by piece.

A file for each ref takes minutes where there are a hundred thousand of them, and so does git with a file
that does not say that it is sorted.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from egg_tasks.foreign_files import (
    LARGEST_PACKED_REFS,
    LARGEST_REF,
    LARGEST_TEXT,
    is_there,
    open_plain,
    pieces,
    read_plain,
)

NAME = "packed-refs"
OTHER_STORE = "reftable"
"""A git that is set so keeps refs there instead."""
HEADER = b"# pack-refs with: sorted \n"
BRANCHES = rb"refs/heads/[^\n]+|refs/stash"
BROKEN = b"\0"
"""Stands for the beginning of a line that is longer than any ref's."""
UNFIT = re.compile(r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|[./]$")
"""What no name of git's holds; a remote may say it has one."""


def copied(refs: Mapping[str, str]) -> Mapping[str, str]:
    """Of refs by name those that a pipeline's repository takes over: branches and tags but our own."""
    return {name: commit for name, commit in refs.items() if _is_copied(name)}


def write(directory: Path, refs: Mapping[str, str]) -> None:
    """Write the refs of a repository that has none in files of their own, and see that they stay."""
    named = sorted((os.fsencode(name), commit) for name, commit in refs.items())
    with (directory / NAME).open("wb") as file:
        # As git makes it in a repository of ours.
        os.fchmod(file.fileno(), 0o644)
        file.write(HEADER)
        file.writelines(b"%s %s\n" % (commit.encode(), name) for name, commit in named)
        file.flush()
        os.fsync(file.fileno())


def branches(clone: Path) -> Iterator[tuple[str, str]]:
    """The branches and the stash of an agent's clone that are in there: commit and name."""
    return _read(clone, BRANCHES)


def find(clone: Path, name: str) -> str:
    """The commit of a ref of an agent's clone that is in there, or nothing."""
    return next((commit for commit, _ in _read(clone, re.escape(os.fsencode(name)))), "")


def may_hold(repository: Path, name: str) -> bool:
    """Whether a ref of a repository of ours that has no file of its own may be somewhere else."""
    if is_there(repository, OTHER_STORE) or is_there(repository, name):
        return True
    # Where there are very many, git finds it sooner.
    content = read_plain(repository, NAME, limit=LARGEST_TEXT) if is_there(repository, NAME) else b""
    return content is None or b" %s\n" % os.fsencode(name) in content


def _read(clone: Path, names: bytes) -> Iterator[tuple[str, str]]:
    file = open_plain(clone, f".git/{NAME}")
    if file is None:
        return
    line = re.compile(rb"^([0-9a-f]{40,64}) (%s)$" % names, re.MULTILINE)
    rest = b""
    with file:
        # What is beyond is passed over, and not the file: branches it names would be lost.
        for piece in pieces(file, limit=LARGEST_PACKED_REFS):
            whole, _, rest = (rest + piece).rpartition(b"\n")
            yield from _found(line, whole)
            if len(rest) > 2 * LARGEST_REF:
                rest = BROKEN
    yield from _found(line, rest)


def _found(line: re.Pattern[bytes], text: bytes) -> Iterator[tuple[str, str]]:
    for commit, name in line.findall(text):
        yield commit.decode(), name.decode("utf-8", "backslashreplace")


def _is_copied(name: str) -> bool:
    is_ours = name == "refs/heads/egg" or name.startswith("refs/heads/egg/")
    return name.startswith(("refs/heads/", "refs/tags/")) and not is_ours and not UNFIT.search(name)
