"""Real servers for the tests, started once and stopped with them."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

import migrations
from egg_tasks.stack.servers import servers


@pytest.fixture(scope="session")
def server_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A PostgreSQL and a Valkey of our own, on sockets nobody else knows."""
    home = tmp_path_factory.mktemp("servers")
    for parent in (home, *home.parents):
        # PostgreSQL runs as nobody when the tests run as root, and must pass.
        if parent.owner() == Path.home().owner() and str(parent).startswith("/tmp/"):
            parent.chmod(0o711)
    with servers(home) as urls:
        yield urls


@pytest.fixture(scope="session")
def template_database(server_urls: tuple[str, str]) -> str:
    """The URL of a database built by the migrations, to be cloned."""
    url = _create(server_urls[0], "egg_template")
    migrations.upgrade(url)
    return url


@pytest.fixture
def database_url(server_urls: tuple[str, str], template_database: str) -> str:
    """A fresh migrated database for one test."""
    del template_database
    return _create(server_urls[0], f"egg_{uuid.uuid4().hex[:12]}", template="egg_template")


@pytest.fixture(scope="session")
def redis_url(server_urls: tuple[str, str]) -> str:
    """The URL of the tests' Valkey, as redis-py writes it."""
    return server_urls[1]


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> None:
    """Keep the caller's own stack out of the tests."""
    for name in [name for name in os.environ if name.startswith("EGG_")]:
        del os.environ[name]


def _create(url: str, name: str, template: str = "template1") -> str:
    base, separator, query = url.partition("?")
    engine = create_engine(
        base.replace("postgresql://", "postgresql+psycopg://") + separator + query,
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    engine.dispose()
    return f"{base.rpartition('/')[0]}/{name}{separator}{query}"
