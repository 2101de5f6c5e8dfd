"""Figures beside those of the commit before."""

from benchmarks.before import beside
from benchmarks.figures import Figure, as_table

THEN = [
    Figure("sends", "by one", 100.0, "/s", "raw INSERT", 400.0),
    Figure("sends", "a send's processor", 1.0, "ms"),
]
NOW = [
    Figure("sends", "by one", 250.0, "/s", "raw INSERT", 500.0),
    Figure("sends", "by one", 250.0, "/s", "Redis XADD", 1000.0),
    Figure("sends", "by two", 300.0, "/s"),
    Figure("sends", "a send's processor", 0.5, "ms"),
]


def test_a_figure_stands_once_beside_itself_as_it_was_and_beside_its_yardsticks() -> None:
    found = beside(NOW, THEN, "16320d5")

    assert [(each.what, each.yardstick, each.ratio) for each in found] == [
        ("by one", "at 16320d5", 2.5),
        ("by one", "raw INSERT", 0.5),
        ("by one", "Redis XADD", 0.25),
        ("by two", "", None),
        ("a send's processor", "at 16320d5", 0.5),
    ]
    assert "2.50 x at 16320d5 (100)" in as_table(found)


def test_without_a_commit_before_the_figures_are_as_they_are() -> None:
    assert beside(NOW, [], "") == NOW
