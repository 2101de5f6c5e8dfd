"""What processes use, from /proc."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

WATCH_SECONDS = 10.0


@dataclass(frozen=True)
class Usage:
    """Memory and processor time of some processes together."""

    megabytes: float
    """Resident, what they share counted in each."""
    busy: float
    """The share of one processor, in percent."""


def descendants(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def of(pids: Iterable[int], *, seconds: float = WATCH_SECONDS) -> Usage:
    """Watch processes for a while."""
    known = list(pids)
    began = sum(map(_ticks, known))
    time.sleep(seconds)
    busy = 100 * (sum(map(_ticks, known)) - began) / os.sysconf("SC_CLK_TCK") / seconds
    return Usage(sum(map(resident, known)), busy)


def spent(pid: int) -> float:
    """The seconds of processor a process has used."""
    return _ticks(pid) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """The resident memory of a process, in megabytes; none of one that is gone."""
    return _memory(pid, "VmRSS:", "status")


def proportional(pid: int) -> float:
    """The same with what it shares divided among those who share it."""
    return _memory(pid, "Pss:", "smaps_rollup")


def command(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _memory(pid: int, name: str, file: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def everybody() -> list[int]:
    """Every process of the machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
