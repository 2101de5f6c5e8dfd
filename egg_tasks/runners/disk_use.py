"""How much of the disk directories take in which an agent works meanwhile, and where.

Counted by `du`: it goes as deep as agents do, follows no link, enters no other file system, and counts a file
with several names once.
"""

import heapq
import os
import selectors
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from egg_tasks import run_places
from egg_tasks.runners import container_files
from models.errors import Unavailable
from models.schemas.disk_use import Directory, DiskUse

PROGRAM = ("nice", "du", "--one-file-system", "--block-size=1", "--null", "--max-depth=1", "--")
LONGEST_SECONDS = 600
MOST_NAMED = 10
CHUNK = 1 << 16


def of_run(home: Path, run_id: UUID) -> DiskUse | None:
    """What a run takes in what it was given, its role's HOME and its output; None for none in a container."""
    given = run_places.given(home, run_id)
    own = run_places.ours(given)
    limit = container_files.disk_limit(own)
    if limit is None:
        return None
    places = [*sorted(given.iterdir()), own / run_places.LOG, *container_files.home_of(own)]
    return measure(places, limit=limit, home=home)


def measure(paths: Sequence[Path], *, limit: int, home: Path) -> DiskUse:
    """What all below *paths* takes, those left out that are not there; they are named from *home* on."""
    found = _counted([path for path in paths if os.path.lexists(path)])
    largest = sorted([*found.rest(), *found.largest], key=lambda each: (-each[0], each[1]))
    places = [
        Directory(str(Path(os.fsdecode(path)).relative_to(home)), size) for size, path in largest[:MOST_NAMED]
    ]
    return DiskUse(sum(found.own.values()), limit, places)


@dataclass
class _Sizes:
    """What `du` has said so far; however many directories it names, no more than a few are kept."""

    own: dict[bytes, int]
    """The bytes of each path that was asked for."""
    inner: Counter[bytes] = field(default_factory=Counter)
    """Of each of them, the bytes of the directories that are in it."""
    largest: list[tuple[int, bytes]] = field(default_factory=list)
    """Of those directories; a heap."""

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

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """What lies in a directory itself is what none of those in it has."""
        for path, size in self.own.items():
            yield size - self.inner[path], path


def _counted(paths: Sequence[Path]) -> _Sizes:
    """Have all below *paths* counted."""
    found = _Sizes({os.fsencode(path): 0 for path in paths})
    if paths:
        for line in _lines([*PROGRAM, *paths]):
            found.take(line)
    return found


def _lines(command: Sequence[str | Path]) -> Iterator[bytes]:
    """What a program says, as it says it: an agent decides how much that is, so that it is never held whole.

    It ends with 1 where something went meanwhile, or is closed to us: it has counted all else.
    """
    environment, until = {"PATH": os.defpath, "LC_ALL": "C"}, time.monotonic() + LONGEST_SECONDS
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise Unavailable(f"what agents take of the disk cannot be counted: {error}") from error
    with process, selectors.DefaultSelector() as waiting:
        assert process.stdout is not None, "it is asked for"  # noqa: S101
        waiting.register(process.stdout, selectors.EVENT_READ)
        try:
            begun = b""
            while waiting.select(max(0, until - time.monotonic())):
                read = os.read(process.stdout.fileno(), CHUNK)
                if not read:
                    return
                *whole, begun = (begun + read).split(b"\0")
                yield from whole
            raise Unavailable(
                f"what agents take of the disk cannot be counted: it takes longer than {LONGEST_SECONDS} s"
            )
        finally:
            process.kill()
