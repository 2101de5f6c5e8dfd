"""The servers of a stack, PostgreSQL and Valkey: given ones by their URL, ours as children."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from egg_tasks.settings_table import DATABASE_URL, REDIS_URL
from egg_tasks.stack import home as homes
from egg_tasks.stack import postgres, valkey
from egg_tasks.stack.children import Keeper
from egg_tasks.stack.lock import locked
from egg_tasks.stack.processes import Program

SECONDS = 90.0
"""PostgreSQL replays its log after a crash before it lets anybody in."""


class Urls(NamedTuple):
    """Where the two servers answer: `postgresql://…` and, as redis-py spells it, `redis://…` or `unix://…`."""

    database_url: str
    redis_url: str


@dataclass(frozen=True)
class Servers:
    """What is to be started, and where clients will find it and what was given."""

    urls: Urls
    programs: tuple[Program, ...]


def plan(home: Path, environ: Mapping[str, str]) -> Servers:
    """Prepare what has to be started in *home*; a server whose URL the environment gives is not."""
    homes.prepare(home)
    database_url, redis_url = environ.get(DATABASE_URL), environ.get(REDIS_URL)
    programs = []
    if not database_url:
        cluster = postgres.prepare(home, environ)
        database_url = cluster.url
        programs.append(cluster.program())
    if not redis_url:
        broker = valkey.prepare(home, environ)
        redis_url = broker.url
        programs.append(broker.program())
    return Servers(Urls(database_url, redis_url), tuple(programs))


@contextmanager
def servers(home: Path, environ: Mapping[str, str]) -> Iterator[Urls]:
    """Run PostgreSQL and Valkey of *home* as children of this process until the context ends.

    To be entered in the main thread. The database is empty and called `egg`, its user is its superuser.
    `Conflict` when a stack or another process already runs them. A child that dies stays dead.
    """
    with locked(home):
        found = plan(home, environ)
        keeper = Keeper(home / "logs")
        try:
            keeper.start(found.programs, timeout=SECONDS)
            yield found.urls
        finally:
            keeper.stop()
