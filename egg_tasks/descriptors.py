"""Descriptors: how many files and sockets a process may have open, and what the API makes of that."""

import resource
import socket
from contextlib import suppress
from pathlib import Path

KEPT_BACK = 128
"""For the database, git, the broker and the log."""
WANTED = 65_536
MOST_WAITING = 2048
MOST_IN_A_ROW = 32
"""So many new connections are taken before others are served: a thousand in a row took a second."""


def raise_limit() -> None:
    """Let this process open as much as it may be allowed without being root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """How many this process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return WANTED if soft == resource.RLIM_INFINITY else soft


def lengthen_queues() -> None:
    """Have more connections wait for this process than are taken in a row, wherever it listens."""
    waiting = max(MOST_IN_A_ROW, min(MOST_WAITING, (limit() - KEPT_BACK) // 8))
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found = socket.socket(fileno=int(entry.name))
            try:
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.listen(waiting)
            finally:
                found.detach()


def api_arguments() -> tuple[str, ...]:
    """What uvicorn is told for the API, beside where it listens: whom it lets in, and how it ends.

    asyncio accepts as many connections in a row as uvicorn lets wait: few, until `lengthen_queues`.
    """
    return (
        "egg_tasks.api.app:create_app",
        "--factory",
        *("--http", "egg_tasks.api.connections:Connection"),
        *("--ws", "none"),
        *("--backlog", str(MOST_IN_A_ROW)),
        # A long poll or an event stream must not hold up the end.
        *("--timeout-graceful-shutdown", "3"),
    )
