"""The database whose schema it is: reached, and asked for its revision, without Alembic."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import errors
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

from migrations import place, revisions
from models.errors import Unavailable, Unprocessable


def current(url: str) -> str | None:
    """The revision the database is at; None for an empty one."""
    with connected(url) as connection, told(connection):
        return place.find_revision(connection)


def require_head(url: str) -> str:
    """The revision of the database, which is the newest; `Unavailable` names the way out of any other."""
    found, needed = current(url), revisions.head()
    if found == needed:
        return needed
    if found is not None and found not in revisions.known():
        raise Unavailable(place.newer(found).message, {"schema_revision": found, "needed": needed})
    raise Unavailable(
        f"the database's schema is {found or 'empty'}, this program needs {needed}: run `egg db upgrade`",
        {"schema_revision": found, "needed": needed},
    )


def connected(url: str) -> Connection:
    """A connection to it; `Unavailable` if it is away."""
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
            f"the database cannot be reached ({reason(error)}); check EGG_DATABASE_URL"
        ) from error


@contextmanager
def told(connection: Connection) -> Iterator[None]:
    """Say what the database refuses in a sentence."""
    given = connection.engine.url
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, errors.InsufficientPrivilege):
            raise Unprocessable(
                f"the user {given.username} may not keep the tables in the database {given.database} "
                f"({reason(error)}): have its owner say GRANT CREATE ON DATABASE {given.database} TO "
                f"{given.username}, or name another database in EGG_DATABASE_URL"
            ) from error
        if isinstance(error, OperationalError) or isinstance(error.orig, errors.ReadOnlySqlTransaction):
            raise Unavailable(
                f"the database of EGG_DATABASE_URL failed while it was migrated: {reason(error)}"
            ) from error
        raise


def reason(error: DBAPIError) -> str:
    """The first line of what the database said."""
    return str(error.orig).strip().partition("\n")[0]
