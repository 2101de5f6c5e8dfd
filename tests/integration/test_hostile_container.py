"""The hostile list on a real engine: nothing succeeds behind the walls, everything does without its own."""

from collections.abc import Callable
from dataclasses import astuple

import psycopg
import pytest

from egg_tasks import database
from tests.conftest import EMPTY, LEAVE
from tests.engine import OwnEngine
from tests.fakes import Recorder
from tests.hostile_container import scene
from tests.hostile_container.attempt import ATTEMPTS, HOLDS, MACHINES
from tests.hostile_container.scene import Table
from tests.hostile_container.table import PROPERTY
from tests.integration import api_scene

pytestmark = pytest.mark.timeout(600)
TRIED_AS_PROCESS = [name for name, one in ATTEMPTS.items() if one.process != MACHINES]


@pytest.fixture(scope="module")
def table(
    container_engine: OwnEngine,
    migrated_database: str,
    caretaker: psycopg.Connection,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Table:
    """What became of each attempt, all of them made once."""
    home = tmp_path_factory.mktemp("hostile")
    caretaker.execute(LEAVE)
    caretaker.execute(EMPTY)
    database.use(Recorder())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "DATABASE_URL": migrated_database, "REDIS_URL": redis_url, "HOME": str(home),
            "OPERATOR_TOKEN": api_scene.OPERATOR, "RATE_LIMIT": "0",
        }.items():  # fmt: skip
            patch.setenv(f"EGG_{name}", value)
        urls = (migrated_database, redis_url)
        with (
            api_scene.served(home) as served,
            scene.set_up(served, container_engine, urls, patch) as stages,
        ):
            found = scene.tried_everywhere(stages)
    database.use(None)
    return found


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_comes_to_nothing_behind_the_walls(
    table: Table, name: str, record_property: Callable[[str, object], None]
) -> None:
    record_property(PROPERTY, [name, *astuple(table[name])])

    assert table[name].behind.startswith("refused: ")


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_same_attempt_succeeds_where_its_wall_is_taken_away(table: Table, name: str) -> None:
    assert table[name].control.startswith("succeeded: ")


@pytest.mark.parametrize("name", [name for name in TRIED_AS_PROCESS if ATTEMPTS[name].process == HOLDS])
def test_what_is_said_to_hold_in_process_isolation_holds(table: Table, name: str) -> None:
    assert table[name].process.startswith("refused: ")
