"""How a database is brought up to the newest schema."""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg import errors
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from migrations import applied, place, revisions
from models.errors import Unavailable
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
    with applied.connected(url) as connection, applied.told(connection):
        _take_turn(connection)
        _migrate(connection, to)


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
        place.prepare(connection, known=revisions.known())
        connection.commit()
        command.upgrade(config, to)
        connection.commit()
    except OperationalError as error:
        connection.rollback()
        if isinstance(error.orig, errors.LockNotAvailable):
            raise _TablesHeldError(applied.reason(error)) from error
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
