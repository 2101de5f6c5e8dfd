"""Clones that an agent has made to stop whoever looks at them."""

import os
import stat
import subprocess
import zlib
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

from tests.integration.workspace_scene import git

Harm = Callable[[Path], str]
"""Does it to a clone; the words in which READY is refused."""
TB = 1024**4


def pipe(name: str) -> Harm:
    """A pipe where git opens a file."""

    def harm(clone: Path) -> str:
        place = clone / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        os.mkfifo(place)
        return f"{name}, which is no file but a pipe"

    harm.__name__ = f"pipe {name}"
    return harm


def giant(name: str) -> Harm:
    """A file without end where git reads a whole one."""

    def harm(clone: Path) -> str:
        place = clone / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            file.truncate(TB)
        return f"{name}, which has {TB} bytes"

    harm.__name__ = f"giant {name}"
    return harm


def link(name: str, target: str, words: str) -> Harm:
    """A link to where no file is."""

    def harm(clone: Path) -> str:
        place = clone / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            place.rename(place.with_name("aside"))
        place.unlink(missing_ok=True)
        place.symlink_to(target)
        return words

    harm.__name__ = f"link {name}"
    return harm


def a_socket(clone: Path) -> str:
    (clone / ".git/packed-refs").unlink()
    os.mknod(clone / ".git/packed-refs", stat.S_IFSOCK | 0o600)
    return "a socket"


def head_is_a_directory(clone: Path) -> str:
    (clone / ".git/HEAD").unlink()
    (clone / ".git/HEAD").mkdir()
    return "its HEAD names no commit"


def a_submodule_out_of_the_clone(clone: Path) -> str:
    far = clone.parent / "far"
    for folder in ("objects", "refs"):
        (far / folder).mkdir(parents=True)
    os.mkfifo(far / "HEAD")
    (clone / "inner").mkdir()
    (clone / "inner/.git").write_text(f"gitdir: {far}\n")
    return "inner/.git, which leads out of the clone"


def a_linked_submodule(clone: Path) -> str:
    far = clone / "trap"
    for folder in ("objects", "refs"):
        (far / folder).mkdir(parents=True)
    os.mkfifo(far / "HEAD")
    (clone / "inner").mkdir()
    (clone / "inner/.git").symlink_to("../trap")
    return "inner/.git, which leads out of the clone"


def _tree(clone: Path, lines: bytes) -> str:
    made = subprocess.run(
        ["git", "mktree", "-z", "--missing"], cwd=clone, input=lines, capture_output=True, check=True
    )
    return made.stdout.decode().strip()


def _head(clone: Path, tree: str) -> None:
    git(clone, "reset", "-q", "--soft", git(clone, "commit-tree", tree, "-p", "HEAD", "-m", "bomb"))


def _blob(clone: Path, content: bytes) -> str:
    made = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=clone, input=content, capture_output=True, check=True
    )
    return made.stdout.decode().strip()


def _nested(clone: Path, *, wide: int, deep: int) -> str:
    tree = _tree(clone, b"100644 blob %s\tf\0" % _blob(clone, b"x").encode())
    for _ in range(deep):
        tree = _tree(clone, b"".join(b"040000 tree %s\t%d\0" % (tree.encode(), n) for n in range(wide)))
    return tree


def a_million_paths_in_seven_objects(clone: Path) -> str:
    _head(clone, _nested(clone, wide=10, deep=6))
    return "more than 250000 files"


def more_paths_than_can_be_counted(clone: Path) -> str:
    _head(clone, _nested(clone, wide=10, deep=40))
    return "more than 250000 files"


def a_pit(clone: Path) -> str:
    _head(clone, _nested(clone, wide=1, deep=300))
    return "more than 200 deep"


def a_name_too_long(clone: Path) -> str:
    _head(clone, _tree(clone, b"100644 blob %s\t%s\0" % (_blob(clone, b"x").encode(), b"n" * 300)))
    return "no file can be called"


def a_name_of_gits(clone: Path) -> str:
    """A tree that git itself would not make."""
    content = b"100644 .GIT\0" + bytes.fromhex(_blob(clone, b"x"))
    content = b"tree %d\0" % len(content) + content
    name = sha1(content, usedforsecurity=False).hexdigest()
    (clone / ".git/objects" / name[:2]).mkdir(exist_ok=True)
    (clone / ".git/objects" / name[:2] / name[2:]).write_bytes(zlib.compress(content))
    _head(clone, name)
    return "not whole|no file can be called"


def rules_without_end(clone: Path) -> str:
    blob = _blob(clone, b"*.a eol=lf\n" * 200_000)
    _head(clone, _tree(clone, b"100644 blob %s\t.gitattributes\0" % blob.encode()))
    return r"\.gitattributes has 2200000 bytes"


def a_terabyte_in_a_megabyte(clone: Path) -> str:
    blob = _blob(clone, b"0" * 1024**2)
    folder = _tree(clone, b"".join(b"100644 blob %s\t%d\0" % (blob.encode(), n) for n in range(1000)))
    _head(clone, _tree(clone, b"".join(b"040000 tree %s\t%d\0" % (folder.encode(), n) for n in range(100))))
    return "more than 34359738368 bytes"


def a_commit_of_words(clone: Path) -> str:
    git(clone, "commit", "-q", "--allow-empty", "-F", str(_written(clone.parent / "words", b"w " * 2**20)))
    return "a commit has more than"


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


OPENED = (
    ".git/index", ".git/HEAD", ".git/config", ".git/packed-refs", ".git/commondir", ".git/shallow",
    ".git/MERGE_HEAD", ".git/info/exclude", ".git/info/attributes", ".git/refs/heads/x",
    ".git/objects/info/alternates", ".git/objects/pack/pack-1.idx", ".git/objects/pack/pack-1.pack",
    ".git/objects/00/11", ".git/objects/info/commit-graph", ".gitignore", ".gitattributes", ".gitmodules",
    "deep/er/.gitignore", "inner/.git", "inner/.git/HEAD", ".git/worktrees/w/HEAD",
)  # fmt: skip
STOPS: tuple[Harm, ...] = (
    *(pipe(name) for name in OPENED),
    *(
        giant(name)
        for name in (".git/index", ".git/packed-refs", ".git/refs/heads/x", ".gitignore", ".git/HEAD")
    ),
    link(".git/index", "/dev/zero", "leads to a device"),
    link(".gitignore", "/dev/zero", "leads to a device"),
    link(".git/objects/pack", "/", r"\.git/objects/pack is not a directory|is a link"),
    link(".git/objects/00", "/", r"\.git/objects/00, which is a link"),
    link(".git/refs", ".", r"\.git/refs is not a directory|is a link"),
    link(".git/HEAD", "HEAD", "its HEAD names no commit"),
    a_socket,
    head_is_a_directory,
    a_submodule_out_of_the_clone,
    a_linked_submodule,
)
"""What git never comes to an end with."""
BOMBS: tuple[Harm, ...] = (
    a_million_paths_in_seven_objects,
    more_paths_than_can_be_counted,
    a_pit,
    a_name_too_long,
    a_name_of_gits,
    rules_without_end,
    a_terabyte_in_a_megabyte,
    a_commit_of_words,
)
"""Commits that whoever checks them out never comes to an end with."""


def a_quarter_of_a_gigabyte_by_copying(clone: Path) -> str:
    """A blob that copies from another one sixteen times, in a pack of 16 KB."""
    most, times = 0xFFFFFF, 16
    base = bytes(most + 1)
    delta = _varied(len(base)) + _varied(times * most) + (b"\xf0" + b"\xff" * 3) * times
    pack = b"PACK" + (2).to_bytes(4, "big") + (2).to_bytes(4, "big")
    first = _head_of_object(3, len(base)) + zlib.compress(base)
    distance = len(first)
    steps = [distance & 127]
    while distance := distance >> 7:
        distance -= 1
        steps.insert(0, distance & 127 | 128)
    pack += first + _head_of_object(6, len(delta)) + bytes(steps) + zlib.compress(delta)
    pack += sha1(pack, usedforsecurity=False).digest()
    subprocess.run(["git", "index-pack", "--stdin"], cwd=clone, input=pack, capture_output=True, check=True)
    digest = sha1(b"blob %d\0" % (times * most), usedforsecurity=False)
    for _ in range(times):
        digest.update(base[:most])
    _head(clone, _tree(clone, b"100644 blob %s\tbomb\0" % digest.hexdigest().encode()))
    return "Out of memory|is not whole|are not whole"


def _varied(number: int) -> bytes:
    found = []
    while number >= 128:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _head_of_object(kind: int, size: int) -> bytes:
    found, number, size = [], kind << 4 | size & 15, size >> 4
    while size:
        found.append(number | 128)
        number, size = size & 127, size >> 7
    return bytes([*found, number])
