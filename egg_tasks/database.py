"""The database: engines, and the unit of work that alone commits."""

import select as polling
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import structlog
from sqlalchemy import Engine, create_engine, event, func, select, true
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from egg_tasks import disk, outbox
from egg_tasks.config import settings
from egg_tasks.outbox import Parcel
from egg_tasks.ports import Sender
from models.errors import DatabaseAway
from models.queries import streams
from models.tables.base import SCHEMA

log = structlog.get_logger()

USED_AT = "used_at"
IDLE_SECONDS = 30.0
OPTIONS = {
    # Our own SQL names the schema; this keeps what others put into `public` out of our sight.
    "search_path": SCHEMA,
    "timezone": "utc",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}


def engine() -> Engine:
    """The process's engine; it connects when it is first used and survives a restarted server."""
    return _engine_at(settings().database_url)


@cache
def _engine_at(url: str) -> Engine:
    made = create_engine(
        url,
        pool_size=10,
        max_overflow=30,  # as many as the API has threads
        pool_use_lifo=True,  # the one used last has its statements prepared and its memory warm
        # What is written may be private; an error that is logged must not tell it.
        hide_parameters=True,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": 5,
            "application_name": "egg",
            "options": " ".join(f"-c {name}={value}" for name, value in OPTIONS.items()),
        },
    )
    event.listen(made, "checkout", _look_alive)
    event.listen(made, "checkin", _note_use)
    return made


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[USED_AT] = time.monotonic()


def _look_alive(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Look whether a connection still lives; the pool opens another for one that does not.

    From a server that waits for the next statement there is nothing to read but its last words. Only a
    connection that was long idle, which a network may have dropped in silence, is worth a way to the server.
    """
    was_idle = time.monotonic() - record.info.get(USED_AT, 0.0) > IDLE_SECONDS
    if connection.closed or _is_readable(connection):
        raise DisconnectionError
    try:
        if was_idle:
            connection.cursor().execute("SELECT 1")
            connection.rollback()
    except Exception as error:
        raise DisconnectionError from error


def _is_readable(connection: DBAPIConnection) -> bool:
    readable = polling.poll()
    readable.register(connection.fileno(), polling.POLLIN)
    return bool(readable.poll(0))


@dataclass
class _Used:
    sender: Sender | None = None


_USED = _Used()


def use(sender: Sender | None) -> None:
    """Have *sender* send what the units of work of this process leave in their outboxes."""
    _USED.sender = sender


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """Commit on success, roll back on any error, then send what waits in the session's outbox.

    Messages and events get their numbers in the last statement before the commit. A send that fails is
    logged and not raised: the rows are there, and the reconciler finds what no one was told of. Something
    to send and nobody to send it is a bug, found before the commit.
    """
    with _away_is_told(), Session(engine(), expire_on_commit=False) as session:
        yield session
        parcels = outbox.of(session).seal(streams.number_pending(session))
        sender = _sender_of(parcels)
        session.commit()
    _send(sender, parcels)


@contextmanager
def single_statements() -> Iterator[Session]:
    """Let each statement be a transaction of its own: for reads, and for writes that are one statement.

    It spares the two ways to the server that begin and end one. What waits in the outbox is sent at the end.
    """
    alone = engine().execution_options(isolation_level="AUTOCOMMIT")
    with _away_is_told(), Session(alone, expire_on_commit=False) as session:
        yield session
        assert not session.new, "a row is added in a unit of work"  # noqa: S101
        parcels = outbox.of(session).seal(())
        sender = _sender_of(parcels)
    _send(sender, parcels)


@contextmanager
def _away_is_told() -> Iterator[None]:
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        raise DatabaseAway(f"the database cannot be used now: {_reason(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseAway("the database went away; try again") from error
        raise


@contextmanager
def advisory_lock(key: int) -> Iterator[Callable[[], bool]]:
    """Hold an advisory lock on a connection of its own while the context lasts, if nobody else holds it.

    Never waits. Gives a look at whether it is held: as long as its connection lives, it is. `DatabaseAway`
    when the database is away.
    """
    try:
        with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            is_ours = bool(connection.scalar(select(func.pg_try_advisory_lock(key))))
            try:
                yield lambda: is_ours and bool(connection.scalar(select(true())))
            finally:
                # A connection goes back to the pool, and would take the lock along.
                if is_ours and not connection.invalidated:
                    connection.execute(select(func.pg_advisory_unlock(key)))
    except DBAPIError as error:
        raise DatabaseAway(f"the database cannot be used now: {_reason(error)}") from error


def _sender_of(parcels: Sequence[Parcel]) -> Sender | None:
    if parcels and _USED.sender is None:
        raise RuntimeError(f"nobody sends {parcels[0]}: a process's entry point says who (`database.use`)")
    return _USED.sender


def _send(sender: Sender | None, parcels: Sequence[Parcel]) -> None:
    for parcel in parcels:
        assert sender is not None, "looked for before the commit"  # noqa: S101
        try:
            sender.send(parcel)
        except Exception as error:  # noqa: BLE001 - whatever a broker raises, what was committed will be driven
            log.warning("send.failed", parcel=type(parcel).__name__, error=repr(error))


def _reason(error: DBAPIError | PoolTimeout) -> str:
    """Why, in one line: a database on a disk that is full does not say so, it is just not there."""
    said = str(getattr(error, "orig", error)).strip().partition("\n")[0]
    return disk.shortage(settings().home) or said
