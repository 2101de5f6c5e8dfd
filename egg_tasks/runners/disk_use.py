"""How much of the disk directories take in which an agent works meanwhile, and where.

Counted by `du`: it goes as deep as agents do, follows no link, enters no other file system, and counts a file
with several names once. Where we are no other user than agents are, they can close a directory to us: it is
opened, and what cannot be is taken for too much.
"""

import heapq
import os
import selectors
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from egg_tasks import removal, run_places
from egg_tasks.runners import container_files
from models.errors import Unavailable
from models.schemas.disk_use import Directory, DiskUse

DU = ("nice", "du", "--one-file-system", "--null")
SIZES = (*DU, "--block-size=1", "--max-depth=1", "--")
FILES = (*DU, "--inodes", "--summarize", "--")
LONGEST_SECONDS = 45.0
"""For all of a run's, once; that many millions of files take longer is no reason to let it make more."""
MOST_NAMED = 10
CHUNK = 1 << 16
SLICE = 1.0
OPENING_SECONDS = 10.0
CLOSED = b": Permission denied"
"""How a complaint ends about what its owner has closed; names before that are quoted."""
HIDDEN = "it has closed a directory in them to everybody, which cannot be opened again"


def of_run(home: Path, run_id: UUID) -> DiskUse | None:
    """What a run, or a set-up, takes in the clone it works in and what else it was given, its role's HOME and
    its output; None for none in a container.
    """
    given = run_places.given(home, run_id)
    own = run_places.ours(given)
    limit = container_files.disk_limit(own)
    if limit is None:
        return None
    trees = {given, run_places.given(home, container_files.works_in(own) or run_id)}
    given_to_it = sorted(path for tree in trees for path in tree.iterdir())
    places = [*given_to_it, own / run_places.LOG, *container_files.home_of(own)]
    return measure(places, limit=limit, home=home)


def measure(paths: Sequence[Path], *, limit: int, home: Path, seconds: float = LONGEST_SECONDS) -> DiskUse:
    """What all below *paths* takes, those left out that are not there; they are named from *home* on.

    What cannot be counted in *seconds* is too much. `Unavailable` where nothing can be counted.
    """
    there = [path for path in paths if os.path.lexists(path)]
    sizes = _counted(SIZES, there, seconds)
    if sizes.is_closed:
        until = time.monotonic() + OPENING_SECONDS
        for path in there:
            removal.open_closed(path, seconds=max(0.0, until - time.monotonic()))
        sizes = _counted(SIZES, there, sizes.left)
    files = _counted(FILES, there, sizes.left)
    why = [HIDDEN] if sizes.is_closed else []
    if sizes.is_late or files.is_late:
        why.append(f"there are too many files in them to be counted within {seconds:g} s")
    largest = sorted([*sizes.rest(), *sizes.largest], key=lambda each: (-each[0], each[1]))
    places = [
        Directory(str(Path(os.fsdecode(path)).relative_to(home)), size) for size, path in largest[:MOST_NAMED]
    ]
    return DiskUse(sum(sizes.own.values()), limit, places, sum(files.own.values()), "; ".join(why))


@dataclass
class _Sizes:
    """What `du` has said so far; however many directories it names, no more than a few are kept."""

    own: dict[bytes, int]
    """The bytes of each path that was asked for."""
    inner: Counter[bytes] = field(default_factory=Counter)
    """Of each of them, the bytes of the directories that are in it."""
    largest: list[tuple[int, bytes]] = field(default_factory=list)
    """Of those directories; a heap."""
    is_closed: bool = False
    """Whether something cannot be looked into."""
    left: float = 0.0
    """The seconds that were left when all was counted."""

    @property
    def is_late(self) -> bool:
        """Whether there was no time for all of it."""
        return self.left <= 0

    def take(self, line: bytes) -> None:
        """Note one line."""
        said, _, path = line.partition(b"\t")
        size = int(said)
        if path in self.own:
            self.own[path] = size
            return
        self.inner[os.path.dirname(path)] += size  # noqa: PTH120  a Path of each would be what takes longest
        heapq.heappush(self.largest, (size, path))
        if len(self.largest) > MOST_NAMED:
            heapq.heappop(self.largest)

    def note(self, complaint: bytes) -> None:
        """Note what could not be counted: what has gone meanwhile is none of it."""
        self.is_closed = self.is_closed or complaint.endswith(CLOSED)

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """What lies in a directory itself is what none of those in it has."""
        for path, size in self.own.items():
            yield size - self.inner[path], path


def _counted(program: Sequence[str], paths: Sequence[Path], seconds: float) -> _Sizes:
    """What *program* says of all below *paths* in so many seconds."""
    found = _Sizes({os.fsencode(path): 0 for path in paths}, left=seconds)
    if paths and seconds > 0:
        _hear([*program, *paths], found)
    return found


def _hear(command: Sequence[str | Path], sizes: _Sizes) -> None:
    """Take what a program says as it says it: how much that is an agent decides, so it is not held whole."""
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise Unavailable(f"what agents take of the disk cannot be counted: {error}") from error
    with process, selectors.DefaultSelector() as waiting:
        for stream, heard in ((process.stdout, (b"\0", sizes.take)), (process.stderr, (b"\n", sizes.note))):
            assert stream is not None, "it is asked for"  # noqa: S101
            waiting.register(stream, selectors.EVENT_READ, heard)
        begun: defaultdict[int, bytes] = defaultdict(bytes)
        before = time.monotonic()
        try:
            while waiting.get_map():
                ready = waiting.select(min(SLICE, sizes.left))
                # In slices, since a clock runs on while all of us are stopped: nobody is killed for that.
                now = time.monotonic()
                sizes.left, before = sizes.left - min(SLICE, now - before), now
                if sizes.is_late:
                    return
                for key, _ in ready:
                    if not (read := os.read(key.fd, CHUNK)):
                        waiting.unregister(key.fileobj)
                    end, take = key.data
                    *whole, begun[key.fd] = (begun[key.fd] + read).split(end)
                    for line in whole:
                        take(line)
        finally:
            process.kill()
