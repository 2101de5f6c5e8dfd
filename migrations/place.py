"""Where the tables are: in a schema of their own, so that others' tables beside them are nobody's matter.

The first releases kept theirs in `public`. They are told from others' by the revision beside them, and moved.
"""

import re
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, text

from models.errors import Unprocessable
from models.tables.base import SCHEMA

FIRST = (
    "nodes",
    "pipelines",
    "events",
    "message_streams",
    "phase_runs",
    "agent_runs",
    "decisions",
    "messages",
    "seen",
    "agent_tokens",
    "checks",
    "objections",
    "roles",
    "versions",
)
IN_PUBLIC: Mapping[str, Collection[str]] = {
    "2026_11_21_first": FIRST,
    "2026_11_21_engine": (*FIRST, "results", "halts"),
}
"""The tables that lie in `public`, by the revision that stands there."""

OURS = r"\d{4}_\d\d_\d\d_"
"""How the name of every revision of ours begins."""

READABLE = """
SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_attribute ON attrelid = pg_class.oid
WHERE nspname = :schema AND relname = 'alembic_version' AND relkind = 'r' AND attname = 'version_num'
    AND (:schema <> 'public' OR has_table_privilege(pg_class.oid, 'SELECT'))
"""
OTHER_TABLES = """
SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = :schema AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname <> 'alembic_version'
"""


def prepare(connection: Connection, *, known: Collection[str]) -> None:
    """Make the schema and its version table, or let an older release's tables move in; not committed.

    `Unprocessable` when the schema is not ours, or of a release newer than the *known* ones.
    """
    query = text("SELECT count(*) FROM pg_namespace WHERE nspname = :schema")
    if not connection.scalar(query, {"schema": SCHEMA}):
        _make(connection)
        return
    revisions = _revisions(connection, SCHEMA)
    if revisions == [] and not connection.scalar(text(OTHER_TABLES), {"schema": SCHEMA}):
        return
    if not revisions or len(revisions) > 1 or not re.match(OURS, revisions[0]):
        raise Unprocessable(
            f"the database has a schema `{SCHEMA}` that is not ours (it has no version table of egg-tasks): "
            "name another database in EGG_DATABASE_URL, or rename that schema"
        )
    if revisions[0] not in known:
        raise newer(revisions[0])


def find_revision(connection: Connection) -> str | None:
    """The revision the tables are at, wherever they are; None before there are any."""
    revisions = _revisions(connection, SCHEMA)
    return revisions[0] if revisions else _revision_in_public(connection)


def newer(revision: str) -> Unprocessable:
    """The refusal of a schema that this program does not know."""
    return Unprocessable(
        f"the database's schema is {revision}, which this egg does not know, so that a newer one made it: "
        "install that version, or name another database in EGG_DATABASE_URL"
    )


def _make(connection: Connection) -> None:
    old = _revision_in_public(connection)
    connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    if old is None:
        connection.execute(
            text(
                f"CREATE TABLE {SCHEMA}.alembic_version ("
                "version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)"
            )
        )
        return
    for table in ("alembic_version", *IN_PUBLIC[old]):
        connection.execute(text(f"ALTER TABLE public.{table} SET SCHEMA {SCHEMA}"))


def _revision_in_public(connection: Connection) -> str | None:
    """The revision of an older release's tables; None when what lies there is somebody else's."""
    revisions = _revisions(connection, "public")
    return revisions[0] if revisions and len(revisions) == 1 and revisions[0] in IN_PUBLIC else None


def _revisions(connection: Connection, schema: str) -> list[str] | None:
    """What the version table of a schema says; None where there is none."""
    if not connection.scalar(text(READABLE), {"schema": schema}):
        return None
    return list(connection.scalars(text(f"SELECT version_num FROM {schema}.alembic_version")))  # noqa: S608
