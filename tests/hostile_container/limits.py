"""Bombs, bounded: each takes a little more than a container may, and would take all if it could."""

import os
import resource
import signal
import sys
import time
from pathlib import Path

from tests.hostile_container.attempt import HOLDS, MACHINES, SHARED, Facts, attempt, looked_at

MEGABYTE = 1 << 20
LIFE = 60
"""Seconds that a daemon lives, so that a control leaves none behind for good."""
PROCESSES, MEMORY, ROOM, FILES, OUTPUT = 50, 160 * MEGABYTE, 96 * MEGABYTE, 17_000, 24 * MEGABYTE
"""A little more than the walls of `stage` let through."""


def filled(place: Path, size: int) -> str:
    """Write so much to a file, and remove it."""
    try:
        with place.open("wb", buffering=0) as file:
            for _ in range(size // MEGABYTE):
                file.write(bytes(MEGABYTE))
    finally:
        place.unlink(missing_ok=True)
    return f"wrote {size // MEGABYTE} MB to {place.parent}"


@attempt("a fork bomb", wall="pids", process=SHARED)
def fork_bomb(_facts: Facts) -> str:
    made = []
    try:
        for _ in range(PROCESSES):
            child = os.fork()
            if child == 0:
                signal.pause()
            made.append(child)
    finally:
        for child in made:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return f"{len(made)} processes"


@attempt("a memory bomb", wall="memory", process=SHARED)
def memory_bomb(_facts: Facts) -> str:
    # So that it is this one whom the kernel ends.
    Path("/proc/self/oom_score_adj").write_text("1000")
    held = bytearray(MEMORY)
    for at in range(0, MEMORY, 4096):
        held[at] = 1
    return f"took {len(held) // MEGABYTE} MB"


@attempt("a full /tmp", wall="tmp", process=SHARED)
def full_tmp(_facts: Facts) -> str:
    return filled(Path("/tmp/full"), ROOM)


@attempt("full shared memory, which is memory too", wall="tmp", process=SHARED)
def full_shared_memory(_facts: Facts) -> str:
    return filled(Path("/dev/shm/full"), ROOM)


@attempt("a full disk: the image's", wall="image", process=SHARED)
def full_image(_facts: Facts) -> str:
    return filled(Path("/var/tmp/full"), MEGABYTE)


@attempt("all descriptors of the machine", wall="files", process=SHARED)
def descriptors(_facts: Facts) -> str:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    held: list[int] = []
    try:
        while len(held) < FILES:
            held.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for each in held:
            os.close(each)
    return f"{len(held)} files open"


def flood() -> None:
    """Write output without end, or nearly."""
    for _ in range(OUTPUT // MEGABYTE):
        sys.stdout.buffer.write(b"x" * (MEGABYTE - 1) + b"\n")
    sys.stdout.buffer.flush()


def deaf_daemon(place: Path) -> None:
    """Leave the agent's session, hear no signal that can be ignored, and write on and on."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for name in range(3):
                os.close(name)
            place.with_suffix(".pid").write_text(str(os.getpid()))
            until = time.monotonic() + LIFE
            while time.monotonic() < until:
                place.touch()
                time.sleep(0.02)
        os._exit(0)
    time.sleep(LIFE)


looked_at("flood", "10 GB of output", wall="log", process=HOLDS)
looked_at("deaf", "no ear for SIGTERM", wall="kill", process=HOLDS)
looked_at("forged_stop", "its end, forged: as if it had been asked to stop", wall="word", process=MACHINES)
looked_at("daemon", "a daemon left behind, in a session of its own", wall="end", process=HOLDS)
