"""processes.json: which of its processes a stack keeps running now, for people who ask how it is."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "processes.json"


@dataclass(frozen=True)
class Process:
    """One process of a stack."""

    name: str
    pid: int | None
    """None while it is dead, until it is started again."""
    since: str
    """When it was last started, in UTC."""
    deaths: int
    """How often in a row it died soon after its start."""


def write(home: Path, processes: Iterable[Process]) -> None:
    """Replace what was written before; on a disk that is full nothing is said anew."""
    new = home / f"{NAME}.new"
    with suppress(OSError):
        new.write_text(json.dumps([asdict(each) for each in processes]))
        new.replace(home / NAME)


def read(home: Path) -> tuple[Process, ...]:
    """What the stack of *home* last wrote; those that are gone have no pid. Empty if it wrote nothing."""
    try:
        found = [Process(**each) for each in json.loads((home / NAME).read_text())]
    except (OSError, ValueError, TypeError):
        return ()
    return tuple(Process(each.name, _living(each.pid), each.since, each.deaths) for each in found)


def _living(pid: int | None) -> int | None:
    try:
        if pid:
            os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        """It lives, and is another user's."""
    return pid
