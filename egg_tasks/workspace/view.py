"""A clone as its agent's own git sees it, in a git directory of ours.

git is never run under a configuration an agent writes. So a copy of the agent's index is looked through
from outside, with those *values* of its configuration that change what its git calls clean and that run
nothing. Everything of the agent's is read as plain files with a limit.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from egg_tasks import run_places
from egg_tasks.foreign_files import (
    LARGEST_INDEX,
    LARGEST_SPEC,
    LARGEST_TEXT,
    is_holding,
    open_plain,
    pieces,
    read_plain,
)
from egg_tasks.workspace.clones import Evidence, alternates
from egg_tasks.workspace.git import Git, quoted
from models.git_names import COMMIT, SHA256_DIGITS

VALUES = frozenset(
    {
        "core.autocrlf", "core.eol", "core.filemode", "core.symlinks", "core.ignorecase", "core.trustctime",
        "core.checkstat", "core.precomposeunicode", "core.sparsecheckout", "core.sparsecheckoutcone",
        "sparse.expectfilesoutsideofpatterns",
    }
)  # fmt: skip
FILES = {"core.excludesfile": "ignore", "core.attributesfile": "attributes"}
"""Settings that name a file of patterns, and what that file is called if they are not set."""
NAMES = re.compile("|".join(key.partition(".")[2] for key in (*VALUES, *FILES)).encode(), re.IGNORECASE)
SHARED_INDEX = re.compile(rf"sharedindex\.(?:{COMMIT})")
SPLIT = b"link"
MACHINES = Path("/etc")
NOWHERE = Path(os.devnull)
"""The home of an agent that has none on this machine: nothing is below it."""
MOST_SHARED = 100
"""So many old ones are looked past; git removes them after two weeks."""
PIECE = 1024 * 1024


@dataclass(frozen=True)
class View:
    """A clone's files held against an index."""

    git: Git
    """Reads the objects of the clone and of the pipeline's repository; what it writes goes with the view."""
    clone: Path
    head: str
    written_ns: int | None
    """When the agent's index was written, in nanoseconds; None if the index is one of ours."""

    @property
    def is_agents(self) -> bool:
        """Whether the index is the agent's own. In one of ours, nobody knows why a file is not there."""
        return self.written_ns is not None


@dataclass(frozen=True)
class _Home:
    """Where the agent's git finds its user's files."""

    directory: Path
    configuration: Path
    replacing: Path | None
    """One file that is read in the place of all of these."""
    inside: Path | None = None
    """What *outside* is called in a container, where the agent has another machine than ours."""
    outside: Path = NOWHERE

    def files(self) -> Iterator[bytes | None]:
        if self.replacing is not None:
            yield self.read(self.replacing)
            return
        yield self.read(self.configuration / "git/config")
        yield self.read(self.directory / ".gitconfig")

    def read(self, path: Path) -> bytes | None:
        """A file below the home; others on this machine are not the agent's to show."""
        if self.inside and path.is_relative_to(self.inside):
            path = self.outside / path.relative_to(self.inside)
        # Of a container's, all below what is mounted may be a link, which leads elsewhere there than here.
        root = self.outside if self.inside else self.directory
        if ".." in path.parts or not all(path.is_relative_to(each) for each in (root, self.directory)):
            return None
        return read_plain(root, str(path.relative_to(root)), limit=LARGEST_TEXT)

    def read_machines(self, name: str) -> bytes | None:
        """A file of git's for all users of the agent's machine; that of a container's image is not here."""
        return None if self.inside else read_plain(MACHINES, name, limit=LARGEST_TEXT)


def agents_view(git: Git, evidence: Evidence, directory: Path, *, run: Path | None = None) -> View:
    """The clone with a copy of its agent's index; with an index of ours that holds the head if it has none.

    *directory* is ours, and empty; *run* is the run's clone if this is a repository inside it. Raises
    `GitFailed` when the agent's configuration cannot be read.
    """
    home = _home(run or evidence.clone)
    found = dict(_values(git, evidence, home, directory))
    inside = _furnish(git, evidence, directory)
    _write_texts(inside, evidence, home, found)
    _write_values(inside, evidence.head, {key: found[key] for key in VALUES & found.keys()})
    looking = Git(inside, work_tree=evidence.clone, excludes=inside / "ignore", is_fleeting=True)
    written = _copy_index(evidence, inside)
    if written is None:
        looking.run("read-tree", evidence.head)
    return View(looking, evidence.clone, evidence.head, written)


def own_view(git: Git, evidence: Evidence, directory: Path) -> View:
    """The clone's files alone: with an index of ours that holds the head, whatever state .git is in."""
    inside = _furnish(git, evidence, directory)
    _write_values(inside, evidence.head, {})
    looking = Git(inside, work_tree=evidence.clone, excludes=evidence.excludes, is_fleeting=True)
    looking.run("read-tree", evidence.head)
    return View(looking, evidence.clone, evidence.head, None)


def _furnish(git: Git, evidence: Evidence, directory: Path) -> Path:
    inside = directory / "git"
    for folder in ("info", "objects/info", "objects/pack", "refs"):
        (inside / folder).mkdir(parents=True)
    (inside / "HEAD").write_text(f"{evidence.head}\n")
    # Without git's own checks, the clone's objects may be read only if it borrows from nowhere else.
    borrowed = b"" if evidence.is_broken else os.fsencode(evidence.objects) + b"\n"
    (inside / "objects/info/alternates").write_bytes(alternates(git.directory) + borrowed)
    return inside


def _write_values(inside: Path, head: str, values: Mapping[str, str]) -> None:
    settings = {"core.attributesfile": str(inside / "attributes"), **values}
    if len(head) == SHA256_DIGITS:
        settings |= {"core.repositoryformatversion": "1", "extensions.objectformat": "sha256"}
    lines = (
        f"[{section}]\n\t{name} = {quoted(value)}\n"
        for section, _, name, value in ((*key.partition("."), value) for key, value in settings.items())
    )
    (inside / "config").write_text("".join(lines), errors="surrogateescape")


def _home(clone: Path) -> _Home:
    """Where the agent's git looks, by the environment it was started with; else the run's own home."""
    content = read_plain(run_places.ours(clone.parent), run_places.SPEC, limit=LARGEST_SPEC) or b"{}"
    try:
        spec = json.loads(content)
        environment = spec.get("environment", {})
        given = {name: str(environment[name]) for name in environment if environment[name]}
        mounted = [Path(path) for path in spec.get("home", [])]
    except (ValueError, AttributeError, TypeError):
        given, mounted = {}, []
    directory = Path(given.get("HOME", clone.with_name("home")))
    inside, outside = mounted or (None, NOWHERE)
    if inside is not None:
        is_mounted = directory.is_relative_to(inside)
        directory = outside / directory.relative_to(inside) if is_mounted else NOWHERE
    replacing = Path(given["GIT_CONFIG_GLOBAL"]) if "GIT_CONFIG_GLOBAL" in given else None
    configuration = Path(given.get("XDG_CONFIG_HOME", directory / ".config"))
    return _Home(directory, configuration, replacing, inside, outside)


def _values(git: Git, evidence: Evidence, home: _Home, directory: Path) -> Iterator[tuple[str, str]]:
    """What matters of the agent's configuration, in git's own order: later files win."""
    own = (
        read_plain(evidence.clone, f".git/{name}", limit=LARGEST_TEXT)
        for name in ("config", "config.worktree")
    )
    machine = home.read_machines("gitconfig")
    content = b"\n".join(part for part in (machine, *home.files(), *own) if part)
    if not NAMES.search(content):
        return
    # One file of all of them, so that one git reads them; what they include stays unread.
    together = directory / "configuration"
    together.write_bytes(content)
    listed = git.run("config", "--file", str(together), "--no-includes", "--list", "-z")
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        key, is_given, value = line.partition("\n")
        yield key, value if is_given else "true"


def _write_texts(inside: Path, evidence: Evidence, home: _Home, found: Mapping[str, str]) -> None:
    for name in ("exclude", "attributes", "sparse-checkout"):
        text = read_plain(evidence.clone, f".git/info/{name}", limit=LARGEST_TEXT)
        if text is not None:
            (inside / "info" / name).write_bytes(text)
    for key, name in FILES.items():
        path = Path(found[key].replace("~", str(home.directory), 1)) if key in found else None
        text = home.read(path or home.configuration / "git" / name) or b""
        machines = (home.read_machines("gitattributes") or b"") if name == "attributes" else b""
        (inside / name).write_bytes(machines + b"\n" + text)


def _copy_index(evidence: Evidence, inside: Path) -> int | None:
    """Copy the agent's index with the time it was written, which says what of it is certain; that time."""
    written = _copy(evidence, "index", inside)
    if written is None:
        return None
    if name := _shared_index(evidence.clone / ".git", inside):
        _copy(evidence, name, inside)
    os.utime(inside / "index", ns=(written, written))
    return written


def _copy(evidence: Evidence, name: str, inside: Path) -> int | None:
    """Copy a file of the clone's .git, piece by piece; when it was written, or None if it cannot be read."""
    file = open_plain(evidence.clone, f".git/{name}", limit=LARGEST_INDEX)
    if file is None:
        return None
    with file, (inside / name).open("wb") as copy:
        copy.writelines(pieces(file, limit=LARGEST_INDEX))
        return os.fstat(file.fileno()).st_mtime_ns


def _shared_index(git: Path, inside: Path) -> str | None:
    """The file in which a split index has its other half: one, since its name is in the index."""
    if not is_holding(inside, "index", [SPLIT], limit=LARGEST_INDEX):
        return None
    names = (path.name for path in git.iterdir() if SHARED_INDEX.fullmatch(path.name))
    asked = [(name, bytes.fromhex(name.partition(".")[2])) for name in islice(names, MOST_SHARED)]
    held = (name for name, mark in asked if is_holding(inside, "index", [mark], limit=LARGEST_INDEX))
    return next(held, None)
