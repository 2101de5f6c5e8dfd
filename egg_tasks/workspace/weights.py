"""What a commit would be where it is checked out: paths, bytes and names, counted without expanding it.

Seven small objects can stand for a million files, and ten megabytes for a terabyte; such a commit would stop
whoever checks it out. A tree is read once, however often it is named, so looking costs what is there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from egg_tasks.workspace import lfs
from egg_tasks.workspace.git import TOO_MUCH, Git, GitFailed
from egg_tasks.workspace.history import readable
from egg_tasks.workspace.names import SNAPSHOTS, START
from models.errors import Conflict

MOST_COMMITS = 100_000
LARGEST_COMMIT = 1024 * 1024
LARGEST_TREE = 16 * 1024 * 1024
LARGEST_FILE = 2 * 1024**3
LARGEST_RULES = 1024 * 1024
LONGEST_NAME = 255
LONGEST_PATH = 2000
DEEPEST = 200
RULES = frozenset({b".gitattributes", b".gitignore", b".gitmodules"})
NEVER = frozenset({b"", b".", b"..", b".git"})
TREE, LINK = b"40000", b"160000"


class TreeEntry(NamedTuple):
    """One line of a tree."""

    mode: bytes
    name: bytes
    id: bytes


@dataclass(frozen=True)
class Weight:
    """What a tree, or something in it, comes to."""

    paths: int = 0
    bytes: int = 0
    longest: int = 0
    """The bytes of its longest path."""


@dataclass(frozen=True)
class Allowed:
    """What may be there."""

    paths: int = 250_000
    bytes: int = 32 * 1024**3
    known: frozenset[TreeEntry] = frozenset()
    """Entries that are not looked at."""


WEIGHED = ("refs/heads", "refs/tags", "refs/egg/taken", "refs/egg/base", START)
"""Where nothing comes that was not weighed."""
EVERYTHING = Allowed(2**62, 2**62)


@dataclass
class Scales:
    """Trees, as far as they were read."""

    git: Git
    allowed: Allowed
    trees: dict[bytes, list[TreeEntry]] = field(default_factory=dict)
    weights: dict[bytes, Weight] = field(default_factory=dict)

    def weigh(self, roots: Iterable[bytes]) -> None:
        """Raise `Conflict` if one of these trees is more than may be checked out."""
        self._read(roots)
        sizes = self._sizes()
        for tree in self._bottom_up(roots):
            parts = [self._part(entry, sizes) for entry in self.trees[tree]]
            self.weights[tree] = weight = Weight(
                sum(part.paths for part in parts),
                sum(part.bytes for part in parts),
                max((part.longest for part in parts), default=0),
            )
            if weight.paths > self.allowed.paths:
                raise _refused(f"it comes to more than {self.allowed.paths} files where it is checked out")
            if weight.bytes > self.allowed.bytes:
                raise _refused(f"it comes to more than {self.allowed.bytes} bytes where it is checked out")
            if weight.longest > LONGEST_PATH:
                raise _refused(f"a path in it has more than {LONGEST_PATH} bytes")

    def _read(self, roots: Iterable[bytes]) -> None:
        """Read these trees and all below them, level by level."""
        level, entries = set(roots), 0
        for _ in range(DEEPEST):
            if not level:
                return
            below: set[bytes] = set()
            for tree, content in contents(self.git, level, largest=LARGEST_TREE):
                self.trees[tree] = found = list(_entries(content, len(tree)))
                entries += len(found)
                # Trees and files: each counts at least once.
                if entries > 2 * self.allowed.paths:
                    raise _refused(f"it holds more than {self.allowed.paths} files")
                below |= {entry.id for entry in found if entry.mode == TREE}
            level = below - self.trees.keys()
        raise _refused(f"its folders are more than {DEEPEST} deep")

    def _bottom_up(self, roots: Iterable[bytes]) -> Iterator[bytes]:
        """The trees, each behind those it holds. None holds itself: its name is made of what it holds."""
        done: set[bytes] = set()
        stack = [(root, False) for root in roots]
        while stack:
            tree, is_behind = stack.pop()
            if is_behind:
                yield tree
            elif tree not in done:
                done.add(tree)
                stack.append((tree, True))
                stack += [(entry.id, False) for entry in self.trees[tree] if entry.mode == TREE]

    def _part(self, entry: TreeEntry, sizes: Mapping[bytes, int]) -> Weight:
        size = sizes.get(entry.id, 0)
        if entry not in self.allowed.known and self.allowed is not EVERYTHING:
            _refuse(entry, size)
        if entry.mode == TREE:
            below = self.weights[entry.id]
            return Weight(below.paths, below.bytes, len(entry.name) + 1 + below.longest)
        return Weight(1, size, len(entry.name))

    def _sizes(self) -> dict[bytes, int]:
        entries = (entry for found in self.trees.values() for entry in found)
        blobs = {entry.id for entry in entries if entry.mode not in {TREE, LINK}}
        asked = b"".join(blob.hex().encode() + b"\n" for blob in blobs)
        answers = self.git.records(
            "cat-file", "--batch-check=%(objectname) %(objectsize)", end=b"\n", stdin=asked
        )
        found = (answer.partition(b" ") for answer in answers)
        return {bytes.fromhex(name.decode()): int(size) for name, _, size in found if size.isdigit()}


def refuse(git: Git, commit: str) -> None:
    """Raise `Conflict` if a commit is more than others can check out.

    *git* reads what is to be taken, and what is here; what the pipeline began with comes on top of what is
    allowed. Only its own tree is weighed, since a history of a thousand commits holds a thousand times what
    is checked out of any: see `came_before`. Raises `GitFailed` where that is not whole.
    """
    _refuse_commits(git, commit)
    root = bytes.fromhex(git.line("rev-parse", "--verify", f"{commit}^{{tree}}"))
    try:
        Scales(git, Allowed()).weigh([root])
    except Conflict:
        allowed = _with_base(git)
        if allowed is None:
            raise
        Scales(git, allowed).weigh([root])


def find_tree_of_tip(git: Git, commit: str) -> str | None:
    """The tree of a commit that a branch or a tag is at: it was weighed before that. None of any other."""
    tree = "--format=%(tree)%(*tree)"
    return git.line("for-each-ref", "--count=1", tree, f"--points-at={commit}", *WEIGHED) or None


def came_before(git: Git, commit: str) -> bool:
    """Whether a commit that is here came before the pipeline did, which weighs none of those.

    One that only came with another was not weighed: it would be taken, and checked out, by going back to it.
    """
    return not git.lines("rev-list", "--max-count=1", commit, "--not", *lfs.BEGINNING)


def contents(git: Git, ids: Iterable[bytes], *, largest: int) -> Iterator[tuple[bytes, bytes]]:
    """What is in objects, one after the other. Raises `Conflict` for one that is too large to be read."""
    asked = b"".join(each.hex().encode() + b"\n" for each in ids)
    buffer = bytearray()
    for piece in git.pieces("cat-file", "--batch", stdin=asked) if asked else ():
        buffer += piece
        at = 0
        while (ends := buffer.find(b"\n", at)) >= 0:
            name, *kind = bytes(buffer[at:ends]).split(b" ")
            if len(kind) != 2:  # noqa: PLR2004 # type and size; else it is missing
                raise GitFailed(("cat-file",), TOO_MUCH, f"{name.decode()} is missing")
            size = int(kind[1])
            if size > largest:
                raise _refused(f"its {kind[0].decode()} {name.decode()[:10]} has {size} bytes")
            if len(buffer) < ends + size + 2:
                break
            yield bytes.fromhex(name.decode()), bytes(buffer[ends + 1 : ends + 1 + size])
            at = ends + size + 2
        del buffer[:at]


def _with_base(git: Git) -> Allowed | None:
    """What is allowed on top of what the pipeline began with; None where that is not known any more."""
    known, tree = git.answers("rev-parse", "--verify", "--quiet", f"{START}^{{tree}}")
    if not known:
        return None
    root = bytes.fromhex(tree.decode().strip())
    base, beside = Scales(git, EVERYTHING), Allowed()
    base.weigh([root])
    entries = frozenset(entry for found in base.trees.values() for entry in found)
    return Allowed(base.weights[root].paths + beside.paths, base.weights[root].bytes + beside.bytes, entries)


def _refuse_commits(git: Git, commit: str) -> None:
    """Raise `Conflict` for too many commits that come with one, or too large ones."""
    # What is here by a snapshot alone was not taken, and comes with this one all the same.
    known = ("--not", f"--exclude={SNAPSHOTS}*", "--all")
    listed = git.records("rev-list", "--stdin", *known, end=b"\n", stdin=f"{commit}\n".encode())
    commits = list(islice(listed, MOST_COMMITS + 1))
    if len(commits) > MOST_COMMITS:
        raise _refused(f"more than {MOST_COMMITS} commits come with it")
    asked = b"".join(name + b"\n" for name in commits)
    sizes = git.records("cat-file", "--batch-check=%(objectsize)", end=b"\n", stdin=asked)
    if any(not size.isdigit() or int(size) > LARGEST_COMMIT for size in sizes):
        raise _refused(f"a commit has more than {LARGEST_COMMIT} bytes")


def _entries(content: bytes, id_bytes: int) -> Iterator[TreeEntry]:
    at = 0
    while at < len(content):
        ends = content.index(b"\0", at)
        mode, _, name = content[at:ends].partition(b" ")
        at = ends + 1 + id_bytes
        yield TreeEntry(mode.lstrip(b"0"), name, content[ends + 1 : at])


def _refuse(entry: TreeEntry, size: int) -> None:
    if entry.name.lower() in NEVER or len(entry.name) > LONGEST_NAME or b"/" in entry.name:
        raise _refused(f"no file can be called {readable(entry.name[:LONGEST_NAME])!r}")
    if size > LARGEST_FILE:
        raise _refused(
            f"{readable(entry.name)} has {size} bytes, and {LARGEST_FILE} at most are taken: use LFS"
        )
    if entry.name in RULES and size > LARGEST_RULES:
        raise _refused(f"{readable(entry.name)} has {size} bytes, and git would hold each file against them")


def _refused(why: str) -> Conflict:
    return Conflict(
        f"The head of the clone cannot be taken: {why}. Make the commits anew without it (`git reset` to "
        "what you began with, then add what belongs), then signal READY again",
        {"reason": why},
    )
