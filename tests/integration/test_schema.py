"""The migrations and the tables say the same, down to CHECKs and the predicates of indexes."""

from collections.abc import Mapping

from sqlalchemy import Engine, create_engine, text

from egg_tasks.config import sqlalchemy_url
from migrations import applied, revisions, upgrading
from models.tables import Base
from models.tables.base import SCHEMA

CATALOGUE = {
    "columns": """
        SELECT table_name || '.' || column_name,
               data_type || ' ' || is_nullable || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema = current_schema()
    """,
    "constraints": """
        SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
    """,
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
}


ASIDE = "described"


def engine(url: str, schema: str = SCHEMA) -> Engine:
    """An engine for a URL as people write it, that has our tables in one schema."""
    made = create_engine(sqlalchemy_url(url), connect_args={"options": f"-c search_path={schema}"})
    return made.execution_options(schema_translate_map={SCHEMA: schema})


def catalogue(connected: Engine) -> Mapping[str, str]:
    """What the database says it holds, Alembic's own table left out."""
    with connected.connect() as connection:
        rows = [row for query in CATALOGUE.values() for row in connection.execute(text(query))]
    return {
        name: definition.replace(f"{ASIDE}.", f"{SCHEMA}.")
        for name, definition in rows
        if "alembic" not in name
    }


def test_migrations_build_what_the_tables_say(database_url: str) -> None:
    migrated = engine(database_url)
    described = engine(database_url, schema=ASIDE)
    with described.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {ASIDE}"))
        Base.metadata.create_all(connection)

    by_migrations, by_tables = catalogue(migrated), catalogue(described)
    with described.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {ASIDE} CASCADE"))
    for connected in (migrated, described):
        connected.dispose()

    assert by_tables == by_migrations


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    upgrading.upgrade(database_url)

    assert applied.current(database_url) == revisions.head()
