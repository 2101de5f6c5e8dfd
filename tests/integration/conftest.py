"""What the tests against PostgreSQL share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from egg_tasks import database
from tests.fakes import Recorder
from tests.integration import api_scene
from tests.integration.world import World


@pytest.fixture(autouse=True)
def sender() -> Iterator[Recorder]:
    """Who sends what units of work leave behind, until the test begins something that sends by itself."""
    recorder = Recorder()
    database.use(recorder)
    yield recorder
    database.use(None)


@pytest.fixture(scope="session")
def worlds_engine(migrated_database: str) -> Engine:
    """One for all worlds: to compile their statements anew for each takes longer than to run them."""
    return create_engine(
        migrated_database.replace("postgresql://", "postgresql+psycopg://"),
        connect_args={"options": "-c lock_timeout=5s -c timezone=utc"},
    )


@pytest.fixture
def world(database_url: str, worlds_engine: Engine) -> Iterator[World]:
    """An empty database with a pipeline to come."""
    del database_url
    yield World(worlds_engine)
    worlds_engine.dispose()


@pytest.fixture
def scene(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[api_scene.Scene]:
    """A served API over an empty database."""
    monkeypatch.setenv("EGG_DATABASE_URL", database_url)
    monkeypatch.setenv("EGG_REDIS_URL", redis_url)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))
    monkeypatch.setenv("EGG_OPERATOR_TOKEN", api_scene.OPERATOR)
    monkeypatch.setenv("EGG_RATE_LIMIT", "0")
    with api_scene.served(tmp_path) as scene:
        yield scene


@pytest.fixture
def shop(scene: api_scene.Scene) -> api_scene.Scene:
    """The same with a pipeline whose coder and tester live."""
    scene.start()
    return scene
