"""Which server a URL leads to: what no row of it knows may only go where it is this home's own."""

from pathlib import Path
from urllib.parse import quote

import pytest

from egg_tasks.config import sqlalchemy_url
from egg_tasks.stack import postgres


def url(sockets: Path | str, rest: str = "") -> str:
    """A database URL that names a directory of sockets."""
    return sqlalchemy_url(f"postgresql://egg@/egg?host={quote(str(sockets), safe='')}{rest}")


def test_the_sockets_of_a_home_are_its_own_by_any_way_to_them(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "short"
    for directory in (home, elsewhere):
        directory.mkdir()
    (home / "sockets").symlink_to(elsewhere)
    (tmp_path / "link").symlink_to(home)

    assert postgres.is_of(home, url(home / "sockets"))
    assert postgres.is_of(home, url(elsewhere))
    assert postgres.is_of(home, url(tmp_path / "link/sockets"))
    assert postgres.is_of(home, sqlalchemy_url(f"postgresql://egg@{quote(str(elsewhere), safe='')}/egg"))


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://db.example/egg?application_name={}",
        "postgresql://db.example/egg?host={}",
        "postgresql://egg:{}@db.example/egg",
        "postgresql://egg@/egg?host={}2",
        "postgresql://egg@/egg?host={}/inner",
        "postgresql://egg@/egg?host={}&host=db.example",
        "postgresql://egg@/egg?host={},db.example",
        "postgresql://egg@/egg?options={}",
        "postgresql:///egg",
    ],
)
def test_a_url_that_only_mentions_the_sockets_of_a_home_leads_elsewhere(tmp_path: Path, other: str) -> None:
    (tmp_path / "sockets").mkdir()
    named = other.format(quote(str(tmp_path / "sockets"), safe=""))

    assert not postgres.is_of(tmp_path, sqlalchemy_url(named))
