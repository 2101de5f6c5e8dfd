"""Whether a run's shim lives, and who is left when it does not; read from what is ours of the run and /proc.

The truth is the lock on `shim.lock`, which the kernel drops with its holder. A pid is only ever used
together with its start time and boot, so that a number used again is never taken for ours.
"""

import fcntl
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from egg_tasks.foreign_files import LARGEST_IDENTITY, open_plain, read_plain

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_MAX = Path("/proc/sys/kernel/pid_max")
SWEEP_SECONDS = 5.0
RETRY_SECONDS = 0.02
LOCK = "shim.lock"
MOST_PIDS = 1 << 22
"""What Linux gives out at most."""


@dataclass(frozen=True)
class Identity:
    """A process, told from every other one before and after it."""

    pid: int
    start: int
    boot: str
    forks: int = 0
    """How many processes the machine had started by then; of an agent only."""

    @classmethod
    def read(cls, own: Path, name: str) -> "Identity | None":
        """Read what a shim wrote down, or None if it did not."""
        text = read_plain(own, name, limit=LARGEST_IDENTITY) or b""
        try:
            pid, start, boot, *forks = text.decode("ascii").split()
            found = cls(int(pid), int(start), boot, int(forks[0]) if forks else 0)
        except ValueError:
            return None
        return found if 0 < found.pid <= MOST_PIDS else None

    @property
    def is_unique(self) -> bool:
        """Whether so few processes were started since that none can have got this one's number."""
        return forks() - self.forks < int(PID_MAX.read_text(encoding="ascii")) // 2

    @property
    def of_this_boot(self) -> bool:
        """Whether the machine has not been started anew since."""
        return self.boot == BOOT_ID.read_text(encoding="ascii").strip()


@dataclass(frozen=True)
class Stat:
    """What /proc says of a process."""

    parent: int
    group: int
    session: int
    start: int

    @classmethod
    def read(cls, pid: int) -> "Stat | None":
        """Read it, or None if there is no such process; one that only waits to be buried is none."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = text.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(parent=int(fields[1]), group=int(fields[2]), session=int(fields[3]), start=int(fields[19]))


def is_held(own: Path) -> bool:
    """Whether a shim lives. Only to be asked once the run's mark is taken: it may turn away a second shim."""
    lock = open_plain(own, LOCK)
    if lock is None:
        return False
    with lock:
        try:
            # Shared, so that two who ask at once do not take each other for the shim.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def opened(pid: int, is_meant: Callable[[], bool]) -> Iterator[int | None]:
    """Hold on to the process with this number if it is the one that is meant, else None."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if is_meant() else None
    finally:
        os.close(descriptor)


@contextmanager
def opened_shim(own: Path) -> Iterator[int | None]:
    """Hold on to the run's living shim; None if there is none, or it is just coming or going."""
    shim = Identity.read(own, LOCK)
    if shim is None or not shim.of_this_boot:
        yield None
        return
    with opened(shim.pid, lambda: start_of(shim.pid) == shim.start and _is_shim(shim.pid, own)) as descriptor:
        yield descriptor if is_held(own) else None


def _is_shim(pid: int, own: Path) -> bool:
    """Whether a process was started as this run's shim: an agent of an earlier release may name another."""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return False
    return Path(os.fsdecode(argv[-1])).name == own.name


def start_of(pid: int) -> int | None:
    """When a process started, in ticks since boot, or None if there is none."""
    stat = Stat.read(pid)
    return stat.start if stat else None


def await_end(own: Path, seconds: float) -> None:
    """Return when the shim has ended or the time is over, whichever comes first; sometimes earlier."""
    with opened_shim(own) as shim:
        if shim is None:
            time.sleep(min(seconds, RETRY_SECONDS))
            return
        poll = select.poll()
        poll.register(shim, select.POLLIN)
        poll.poll(int(min(seconds, 86_400) * 1000) + 1)


def signal_shim(own: Path, number: signal.Signals) -> bool:
    """Send a signal to the run's shim; whether there was one."""
    with opened_shim(own) as shim:
        if shim is None:
            return False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(shim, number)
        return True


def kill_shim(own: Path) -> None:
    """Kill a shim that does not do as it is told, and before it all that has come from its agent.

    As long as it is there, stopped or not, whoever of them loses its parent becomes its child.
    """
    shim = Identity.read(own, LOCK)
    deadline = time.monotonic() + SWEEP_SECONDS
    with opened_shim(own) as descriptor:
        if shim is None or descriptor is None:
            return
        while time.monotonic() < deadline and sum(kill(*each) for each in _descendants(shim.pid)):
            time.sleep(RETRY_SECONDS)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(int(SWEEP_SECONDS * 1000))


def _descendants(pid: int) -> Iterator[tuple[int, Callable[[], bool]]]:
    """The processes that come from one, and for each whether it still is that one."""
    found = {number: stat for number in numbers() if (stat := Stat.read(number))}
    families = {pid}
    while more := {number for number, stat in found.items() if stat.parent in families} - families:
        families |= more
    for number in families - {pid}:
        yield number, partial(_is_same, number, found[number].start)


def _is_same(pid: int, start: int) -> bool:
    return start_of(pid) == start


def forks() -> int:
    """How many processes the machine has started since it was booted."""
    with Path("/proc/stat").open(encoding="ascii") as stat:
        return next(int(line.split()[1]) for line in stat if line.startswith("processes "))


def numbers() -> Iterator[int]:
    """Every process of the machine but this one."""
    names = (entry.name for entry in Path("/proc").iterdir())
    return (int(name) for name in names if name.isdecimal() and int(name) != os.getpid())


def kill(pid: int, is_meant: Callable[[], bool]) -> bool:
    """Kill a process if it is the one that is meant; whether it was, and could be."""
    with opened(pid, is_meant) as descriptor:
        if descriptor is None:
            return False
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            return True
        return False
