"""An advisory lock is held while its context lasts, by one, and by nobody afterwards."""

import psycopg
import pytest

from egg_tasks.database import advisory_lock
from models.errors import DatabaseAway
from tests.integration.api_scene import Scene

LOCK = 4711


@pytest.mark.usefixtures("scene")
def test_an_advisory_lock_is_held_by_one_until_it_lets_go() -> None:
    with advisory_lock(LOCK) as is_held, advisory_lock(LOCK) as is_held_too:
        assert (is_held(), is_held_too()) == (True, False)

    # On another connection: PostgreSQL gives a lock twice to the same one.
    with advisory_lock(LOCK + 1), advisory_lock(LOCK) as is_held:
        assert is_held()


@pytest.mark.usefixtures("scene")
def test_who_did_not_get_an_advisory_lock_takes_it_from_nobody() -> None:
    with advisory_lock(LOCK) as is_held:
        with advisory_lock(LOCK):
            pass
        with advisory_lock(LOCK) as is_held_too:
            assert (is_held(), is_held_too()) == (True, False)


def test_a_lock_is_let_go_when_what_it_protects_fails(scene: Scene) -> None:
    with pytest.raises(ZeroDivisionError), advisory_lock(LOCK):
        raise ZeroDivisionError

    with advisory_lock(LOCK + 1), advisory_lock(LOCK) as is_held:
        assert is_held()
    del scene


def test_a_lock_whose_connection_is_gone_is_not_held(scene: Scene, database_url: str) -> None:
    end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
    del scene

    def hold() -> None:
        with advisory_lock(LOCK) as is_held:
            with psycopg.connect(database_url) as connection:
                connection.execute(end, [LOCK])
            is_held()

    with pytest.raises(DatabaseAway):
        hold()
