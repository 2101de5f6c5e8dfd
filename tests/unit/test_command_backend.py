"""How a command becomes an argument list."""

from pathlib import Path

import pytest

from egg_tasks.backends import command


@pytest.mark.parametrize(
    ("given", "executed"),
    [
        (["./lint.sh", "./a"], ("/c/lint.sh", "./a")),
        (["bin/lint"], ("/c/bin/lint",)),
        (["/usr/bin/make", "-k"], ("/usr/bin/make", "-k")),
        (["make", "test"], ("make", "test")),
    ],
)
def test_only_a_relative_path_is_of_the_clone(given: list[str], executed: tuple[str, ...]) -> None:
    assert command.argv(given, clone=Path("/c")) == executed
