"""Real servers for the tests, started once and stopped with them."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import settings

from egg_tasks.stack.servers import servers
from migrations import upgrading
from models.events import EVENTS
from models.tables import Base
from tests.engine import container_engine
from tests.hostile_container.table import pytest_terminal_summary

__all__ = ["container_engine", "pytest_terminal_summary"]

# Nothing of what is collected is garbage, and to look for it took a third of collecting.
gc.disable()

# How long an example takes is no finding: the machine may be busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

LEAVE = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
TOLD = """
SELECT DISTINCT type, key FROM egg.events LEFT JOIN LATERAL jsonb_object_keys(details) AS key ON true
"""
MADE_UP = {"test_api_events", "test_hostile_words"}
"""Whose events no service of ours has told."""
EMPTY = """
DO $$ DECLARE name text; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'egg' AND tablename <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM egg.%I', name); END LOOP;
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'egg' AND last_value IS NOT NULL
    LOOP EXECUTE format('ALTER SEQUENCE egg.%I RESTART', name); END LOOP;
END $$
"""
"""Far quicker than a database for each test, whose files would be copied and written twice."""


LONGEST = (
    "acceptance/test_kills",
    "acceptance/test_planted_faults",
    "acceptance/",
    "integration/test_stack",
    "integration/test_gaps",
    "unit/test_consensus_rosters",
    "unit/test_consensus_walk",
    "integration/test_hostile",
    "integration/test_bus_interleavings",
    "integration/test_port_strangers",
    "integration/test_walk_twin",
    "integration/test_api_fuzz",
    "unit/test_consensus_random_walk",
    "integration/",
    "unit/",
)
"""How paths of tests begin, by how long their files take: a long one that begins last is waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; in each the order stays."""

    def rank(item: pytest.Item) -> int:
        found = (at for at, start in enumerate(LONGEST) if item.nodeid.startswith(f"tests/{start}"))
        return next(found, len(LONGEST))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def server_urls() -> Iterator[tuple[str, str]]:
    """A PostgreSQL and a Valkey of our own, on sockets nobody else knows."""
    # Not below pytest's own directory: another run of the same user closes that to others, and as root
    # PostgreSQL is `nobody`.
    with tempfile.TemporaryDirectory(prefix="egg-servers-", dir="/tmp", ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o711)
        with servers(Path(home), os.environ) as urls:
            with psycopg.connect(urls.database_url, autocommit=True) as connection:
                # Processes are killed in tests; the power of the machine is not taken away.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield urls


@pytest.fixture(scope="session")
def ready_cluster() -> Iterator[Path]:
    """A PostgreSQL cluster with our newest schema, that runs nowhere: homes of stacks get a copy of it."""
    with tempfile.TemporaryDirectory(prefix="egg-cluster-", dir="/tmp", ignore_cleanup_errors=True) as top:
        Path(top).chmod(0o711)
        with servers(Path(top), {"PATH": os.environ["PATH"]}) as urls:
            upgrading.upgrade(urls.database_url)
        yield Path(top) / "postgres"


def url_of(server_url: str, *, database: str, user: str) -> str:
    """The URL of a database of the tests' PostgreSQL, as one of its users."""
    parts = urlsplit(server_url)
    return urlunsplit(parts._replace(netloc=f"{user}@", path=f"/{database}"))


@pytest.fixture(scope="session")
def migrated_database(server_urls: tuple[str, str]) -> str:
    """The URL of a database built by the migrations, where `public` holds others' tables named as ours.

    Its user's own search path does not lead to our schema.
    """
    url = url_of(server_urls[0], database="shop", user="shop")
    with psycopg.connect(server_urls[0], autocommit=True) as connection:
        connection.execute("CREATE ROLE shop SUPERUSER LOGIN")
        connection.execute("CREATE DATABASE shop")
    with psycopg.connect(url, autocommit=True) as connection:
        for table in Base.metadata.tables.values():
            connection.execute(f"CREATE TABLE public.{table.name} (theirs text)".encode())
    upgrading.upgrade(url)
    return url


@pytest.fixture(scope="session")
def caretaker(migrated_database: str) -> Iterator[psycopg.Connection]:
    """A connection to the migrated database that stays open; a new one costs more than its work in a test."""
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def database_url(
    migrated_database: str, caretaker: psycopg.Connection, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The migrated database, with nothing in it and nobody else connected; what is told there is declared."""
    caretaker.execute(LEAVE)
    caretaker.execute(EMPTY)
    yield migrated_database
    told = caretaker.execute(TOLD).fetchall()
    if request.path.stem in MADE_UP:
        return
    undeclared = [
        (kind, key) for kind, key in told if kind not in EVENTS or (key and key not in EVENTS[kind].data)
    ]
    assert undeclared == [], "declare these events, or keys of their data, in models/events.py"


@pytest.fixture(scope="session")
def redis_url(server_urls: tuple[str, str]) -> str:
    """The URL of the tests' Valkey, as redis-py writes it."""
    return server_urls[1]


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> None:
    """Keep the caller's own stack out of the tests."""
    for name in [name for name in os.environ if name.startswith("EGG_")]:
        del os.environ[name]


def pytest_collection_finish() -> None:
    """Spare the collector what is there for good: it would look at all of it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()
