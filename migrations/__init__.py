"""The schema's history, and how a database is brought up to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import errors
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from migrations import place
from models.errors import Unavailable, Unprocessable
from models.tables.base import SCHEMA

LOCK = 0x6567_6774_6173_6B73  # "eggtasks": one migration at a time, whoever starts it
TURN_SECONDS = 120
TURN_POLL_SECONDS = 0.2
LOCK_SECONDS = 3
"""Whoever wants a table that a migration waits for waits behind it: it gives up early, and tries again."""

PATIENCE_SECONDS = 60
STATEMENT_SECONDS = 900.0


class _TablesHeldError(Exception):
    """A migration did not get its locks in time, and was undone."""


def upgrade(url: str, *, to: str = "head") -> None:
    """Bring the database to the newest schema; safe to call at once from several processes.

    Each migration is a transaction of its own. `Unprocessable` for a database that cannot be ours,
    `Unavailable` for one that is away or in use.
    """
    with _connection(url) as connection, _told(connection):
        _take_turn(connection)
        _migrate(connection, to)


def current(url: str) -> str | None:
    """The revision the database is at; None for an empty one."""
    with _connection(url) as connection, _told(connection):
        return place.find_revision(connection)


def require_head(url: str) -> str:
    """The revision of the database, which is the newest; `Unavailable` names the way out of any other."""
    found, needed = current(url), head()
    if found == needed:
        return needed
    if found is not None and found not in known():
        raise Unavailable(place.newer(found).message, {"schema_revision": found, "needed": needed})
    raise Unavailable(
        f"the database's schema is {found or 'empty'}, this program needs {needed}: run `egg db upgrade`",
        {"schema_revision": found, "needed": needed},
    )


@cache
def head() -> str:
    """The newest revision this program knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


@cache
def known() -> frozenset[str]:
    """All revisions this program knows."""
    return frozenset(each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions())


def set_time_outs(connection: Connection) -> None:
    """Have statements of this connection give up early on a lock, and late on work."""
    connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_SECONDS * 1000:.0f}ms'"))


def _take_turn(connection: Connection) -> None:
    """Wait until nobody else migrates this database; the connection's end lets the next one in."""
    query = text("SELECT pg_try_advisory_lock(:key)")
    deadline = time.monotonic() + TURN_SECONDS
    # Whoever waits within a statement has a snapshot, and an index made CONCURRENTLY waits for those.
    while not connection.scalar(query, {"key": LOCK}):
        connection.commit()
        if time.monotonic() > deadline:
            raise Unavailable(
                f"another process has migrated this database for {TURN_SECONDS} s: wait for it, "
                "then try again"
            )
        time.sleep(TURN_POLL_SECONDS)
    set_time_outs(connection)
    connection.execute(text(f"SET search_path = {SCHEMA}"))
    connection.commit()


def _migrate(connection: Connection, to: str) -> None:
    patience = stop_after_delay(PATIENCE_SECONDS)
    again = retry(
        retry=retry_if_exception_type(_TablesHeldError), wait=wait_fixed(1), stop=patience, reraise=True
    )
    try:
        again(_try)(connection, to)
    except _TablesHeldError as error:
        raise Unavailable(
            f"the tables are in use ({error}), and what the migration began is undone: stop the processes of "
            "the older version, or whatever holds the tables, then try again"
        ) from error


def _try(connection: Connection, to: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    try:
        place.prepare(connection, known=known())
        connection.commit()
        command.upgrade(config, to)
        connection.commit()
    except OperationalError as error:
        connection.rollback()
        if isinstance(error.orig, errors.LockNotAvailable):
            raise _TablesHeldError(_reason(error)) from error
        if isinstance(error.orig, errors.QueryCanceled):
            raise Unavailable(
                f"a statement of the migration took longer than {STATEMENT_SECONDS:g} s, and what it began "
                "is undone: try again when the database has less to do"
            ) from error
        raise


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _connection(url: str) -> Connection:
    scheme, _, rest = url.partition("://")
    engine = create_engine(
        f"{scheme.split('+')[0]}+psycopg://{rest}",
        poolclass=NullPool,
        connect_args={"connect_timeout": 5, "application_name": "egg migrations"},
    )
    try:
        return engine.connect()
    except OperationalError as error:
        raise Unavailable(
            f"the database cannot be reached ({_reason(error)}); check EGG_DATABASE_URL"
        ) from error


@contextmanager
def _told(connection: Connection) -> Iterator[None]:
    """Say what the database refuses in a sentence."""
    given = connection.engine.url
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, errors.InsufficientPrivilege):
            raise Unprocessable(
                f"the user {given.username} may not keep the tables in the database {given.database} "
                f"({_reason(error)}): have its owner say GRANT CREATE ON DATABASE {given.database} TO "
                f"{given.username}, or name another database in EGG_DATABASE_URL"
            ) from error
        if isinstance(error, OperationalError) or isinstance(error.orig, errors.ReadOnlySqlTransaction):
            raise Unavailable(
                f"the database of EGG_DATABASE_URL failed while it was migrated: {_reason(error)}"
            ) from error
        raise


def _reason(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
