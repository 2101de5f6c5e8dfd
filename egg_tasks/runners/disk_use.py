"""How much of the disk directories take in which an agent works meanwhile, and where.

Counted by `du`: it goes as deep as agents do, follows no link, enters no other file system, and counts a file
with several names once.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from egg_tasks import run_places
from egg_tasks.runners import container_files
from models.errors import Unavailable
from models.schemas.disk_use import Directory, DiskUse

PROGRAM = ("nice", "du", "--one-file-system", "--block-size=1", "--null", "--max-depth=1", "--")
LONGEST_SECONDS = 600
MOST_NAMED = 10


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
    there = [path for path in paths if os.path.lexists(path)]
    sizes = _sizes(there)
    own = {path: sizes.get(path, 0) for path in there}
    inner = {path: size for path, size in sizes.items() if path not in own}
    # What lies in a directory itself is what none of those in it has.
    rest = {
        path: size - sum(each for at, each in inner.items() if at.parent == path)
        for path, size in own.items()
    }
    largest = sorted((inner | rest).items(), key=lambda each: (-each[1], each[0]))
    places = [Directory(str(path.relative_to(home)), size) for path, size in largest[:MOST_NAMED]]
    return DiskUse(sum(own.values()), limit, places)


def _sizes(paths: Sequence[Path]) -> dict[Path, int]:
    """The bytes of each path, and of each directory that is in one of them."""
    if not paths:
        return {}
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    try:
        # It ends with 1 where something went meanwhile, or is closed to us: it has counted all else.
        done = subprocess.run(
            [*PROGRAM, *paths],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=LONGEST_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"what agents take of the disk cannot be counted: {error}") from error
    lines = (line.partition(b"\t") for line in done.stdout.split(b"\0") if line)
    return {Path(os.fsdecode(path)): int(size) for size, _, path in lines}
