"""What is done once before our processes start, in a process of its own so that the supervisor stays small.

`python -m egg_tasks.stack.preflight`: checks that database and broker answer, and migrates. What is wrong
is one sentence on stdout; the exit code says of which kind.
"""

import os
import re
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from egg_tasks.config import celery_url, sqlalchemy_url
from egg_tasks.settings_table import BROKER_URL, DATABASE_URL, REDIS_URL
from models.errors import EggError, Rejected, Unavailable, Unprocessable
from models.masking import hidden

if TYPE_CHECKING:
    import psycopg

OLDEST_REDIS = (6, 2)
REFUSED, AWAY = 1, 3


def main() -> int:
    """Check and migrate; 0, or REFUSED or AWAY by the kind of the error."""
    # imported here, as others below: the `egg` of agents has them not, and who needs them not pays for none
    from migrations import revisions

    try:
        is_newest = check_database(os.environ[DATABASE_URL]) == revisions.head()
        check_redis(os.environ[REDIS_URL])
        if broker := os.environ.get(BROKER_URL):
            check_broker(broker)
        if not is_newest:
            from migrations import upgrading

            upgrading.upgrade(os.environ[DATABASE_URL])
    except EggError as error:
        sys.stdout.write(f"{error}\n")
        return REFUSED if isinstance(error, Rejected) else AWAY
    return 0


def check_database(url: str) -> str | None:
    """The revision of our schema there, None if it has none; `Unavailable` unless the database lets us in."""
    import psycopg

    plain = sqlalchemy_url(url).replace("+psycopg", "", 1)
    where = name_of(url)
    try:
        with psycopg.connect(plain, connect_timeout=5, autocommit=True) as connection:
            return _revision(connection)
    except psycopg.Error as error:
        reason = hidden(" ".join(str(error).split()), url)
        raise Unavailable(
            f"the database at {where} cannot be reached ({reason}): "
            "check EGG_DATABASE_URL, or unset it to use our own"
        ) from error


def _revision(connection: "psycopg.Connection") -> str | None:
    """What stands there; None for whatever a migration is to look at."""
    import psycopg

    from migrations import revisions

    try:
        rows = connection.execute(f"SELECT version_num FROM {revisions.VERSION_TABLE}").fetchall()  # noqa: S608
    except psycopg.errors.ProgrammingError:
        return None
    return str(rows[0][0]) if len(rows) == 1 else None


def check_broker(url: str) -> None:
    """Raise `Unavailable` unless the broker that is given for itself, Redis or RabbitMQ, answers."""
    from kombu.connection import Connection

    try:
        with Connection(celery_url(url), connect_timeout=5) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
    except (KeyError, ValueError, ImportError) as error:
        raise Unprocessable(f"{BROKER_URL} must look like amqp://host/ or redis://host:port/0") from error
    except Exception as error:  # its transports share no other class
        reason = hidden(str(error).rstrip("."), url)
        raise Unavailable(
            f"the broker at {name_of(url)} cannot be reached ({reason}): "
            f"check {BROKER_URL}, or unset it to use Redis"
        ) from error


def check_redis(url: str) -> None:
    """Raise `Unavailable` unless Redis answers, `Unprocessable` if it is too old to be a broker."""
    from redis import Redis
    from redis.exceptions import RedisError

    where = name_of(url)
    try:
        client = Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
        with client:
            version = str(client.info("server")["redis_version"])
    except ValueError as error:
        raise Unprocessable(
            f"EGG_REDIS_URL must look like redis://host:port/0: {hidden(str(error), url)}"
        ) from error
    except (RedisError, OSError) as error:
        reason = hidden(str(error).rstrip("."), url)
        raise Unavailable(
            f"the broker at {where} cannot be reached ({reason}): "
            "check EGG_REDIS_URL, or unset it to use our own"
        ) from error
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST_REDIS:
        raise Unprocessable(f"the broker at {where} is Redis {version}: 6.2 or newer is needed")


def name_of(url: str) -> str:
    """Return where a URL leads, without its password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "a URL that cannot be read (in a password, write `/` as %2F and `@` as %40)"
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or parts.path


if __name__ == "__main__":
    sys.exit(main())
