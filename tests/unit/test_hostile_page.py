"""The page about hostile agents, and the list it is of."""

import pytest

from tests.hostile_container import table
from tests.hostile_container.attempt import ATTEMPTS
from tests.hostile_container.walls import WALLS


def test_the_page_says_what_the_list_holds() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "python -m tests.hostile_container.table"


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_names_a_wall(name: str) -> None:
    assert ATTEMPTS[name].wall in WALLS


def test_each_wall_holds_some_attempt() -> None:
    assert {one.wall for one in ATTEMPTS.values()} == set(WALLS)
