"""Descriptors: how many files and sockets a process may have open, and what the API makes of that."""

import resource

KEPT_BACK = 128
"""For the database, git, the broker and the log."""
WANTED = 65_536
MOST_AT_A_TIME = 2048


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


def api_arguments() -> tuple[str, ...]:
    """What uvicorn is told for the API, beside where it listens: whom it lets in, and how it ends.

    asyncio accepts as many connections in a row as may wait for it. Before those that are too many are
    dropped there may be three rows: together they must stay below the limit.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    available = (WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)) - KEPT_BACK
    backlog = max(16, min(MOST_AT_A_TIME, available // 8))
    return (
        "egg_tasks.api.app:create_app",
        "--factory",
        *("--http", "egg_tasks.api.connections:Connection"),
        *("--ws", "none"),
        *("--backlog", str(backlog)),
        # A long poll or an event stream must not hold up the end.
        *("--timeout-graceful-shutdown", "3"),
    )
