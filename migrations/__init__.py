"""The schema's history, and how a database is brought up to it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from models.errors import Unavailable

LOCK = 0x6567_6774_6173_6B73  # "eggtasks": one migration at a time, whoever starts it


def upgrade(url: str) -> None:
    """Bring the database to the newest schema; safe to call at once from several processes."""
    with _connection(url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def current(url: str) -> str | None:
    """The revision the database is at; None for an empty one."""
    with _connection(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The newest revision this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _connection(url: str) -> Connection:
    scheme, _, rest = url.partition("://")
    engine = create_engine(f"{scheme.split('+')[0]}+psycopg://{rest}", poolclass=NullPool)
    try:
        return engine.connect()
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise Unavailable(f"the database cannot be reached ({reason}); check DATABASE_URL") from error
