"""Servers of a stack whose supervisor died: found by where they work, waited for, then ended."""

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

PATIENCE_SECONDS = 20.0


def clear(directory: Path, *, names: Collection[str]) -> None:
    """Return when no program of *names* works in *directory* any more.

    The caller holds the stack's lock, so whoever is found lost its parent and was told to stop by that:
    it gets time to finish, then SIGKILL. Without /proc nothing is found.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found := list(_working_in(directory, names)):
        if time.monotonic() > deadline:
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _working_in(directory: Path, names: Collection[str]) -> Iterator[int]:
    """Yield the processes that run one of *names* in *directory*, zombies aside."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "comm").read_text().strip() not in names:
                continue
            if Path(os.readlink(entry / "cwd")) == directory.resolve():  # noqa: PTH115  keeps " (deleted)"
                yield int(entry.name)
