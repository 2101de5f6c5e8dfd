"""The merge attributes of a repository (`merge=union`, `-merge`, `binary`, …), obeyed in a bare one.

Git reads attributes from a work tree, from an index, or (since 2.43) from a tree that is named to it; its
`merge-tree` in a bare repository knows neither. So the .gitattributes of the side that is merged into, which
is the one git would have checked out, are laid out as a work tree that holds nothing else. Drivers of one's
own are configuration, which we do not read: what asks for one is merged as text, as git does without it.
"""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from egg_tasks.workspace.git import Git
from egg_tasks.workspace.lfs import contents
from models.errors import Unavailable

NAME = b".gitattributes"
LARGEST = 1024 * 1024
"""Bytes; one that is larger is left out."""
LARGEST_TOGETHER = 64 * LARGEST
MOST = 1000
"""So many files are laid out at most."""
TELLING = (b"merge", b"binary", b"conflict-marker-size", b"[attr]")
"""What a file must speak of to matter to a merge."""


@contextmanager
def obeyed(git: Git, commit: str) -> Iterator[Git]:
    """Git whose merges obey the .gitattributes of *commit*."""
    files = _read(git, commit)
    if not any(word in text for text in files.values() for word in TELLING):
        yield git
        return
    with tempfile.TemporaryDirectory(prefix="egg-merge-") as directory:
        tree = Path(directory)
        for path, text in files.items():
            _write(tree / path.decode("utf-8", "surrogateescape"), text)
        yield replace(git, work_tree=tree)


def _write(target: Path, text: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
    except OSError as error:
        # What no disk can hold under its name was not written by git either.
        if error.errno != errno.ENAMETOOLONG:
            raise Unavailable(f"{target} cannot be written: {error.strerror or error}") from error


def _read(git: Git, commit: str) -> dict[bytes, bytes]:
    """The .gitattributes of a commit by path."""
    paths: dict[bytes, bytes] = {}
    for entry in git.records("ls-tree", "-r", "-z", "--full-tree", commit):
        about, _, path = entry.partition(b"\t")
        mode, _, blob = about.partition(b" blob ")
        if _is_fit(path, mode) and len(paths) < MOST:
            paths[path] = blob
    if not paths:
        return {}
    texts = _contents(git, set(paths.values()))
    return {path: texts[blob] for path, blob in paths.items() if blob in texts}


def _is_fit(path: bytes, mode: bytes) -> bool:
    """Whether an entry is a file of attributes, under a path that leads nowhere else."""
    *folders, name = path.split(b"/")
    return name == NAME and mode.startswith(b"100") and not {b"", b".", b".."} & set(folders)


def _contents(git: Git, blobs: set[bytes]) -> dict[bytes, bytes]:
    """What is in those blobs that are not too large."""
    asked = b"".join(blob + b"\n" for blob in sorted(blobs))
    sizes = git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked).splitlines()
    fit, left = [], LARGEST_TOGETHER
    for name, _, size in (line.partition(b" ") for line in sizes):
        if size.isdigit() and int(size) <= min(LARGEST, left):
            fit.append(name)
            left -= int(size)
    return dict(contents(git, fit))
