"""The targets of the Makefile: all are there, and `make help` says what each is for."""

import re
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z][a-z-]+):", TEXT, re.MULTILINE)
PHONY = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", TEXT, re.MULTILINE)
DOCUMENTED = {
    target
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*/*.md")]
    for target in re.findall(r"`make ([a-z][a-z-]+)", page.read_text())
}


def test_each_target_that_is_no_file_is_made_by_a_rule() -> None:
    assert PHONY is not None
    named = PHONY[1].replace("\\", " ").split()

    # What is phony and has no rule does nothing, and make calls that done.
    assert sorted(named) == sorted(TARGETS)


@pytest.mark.parametrize("target", sorted(DOCUMENTED))
def test_each_target_that_a_page_names_is_there(target: str) -> None:
    assert target in TARGETS


def test_help_says_of_each_target_what_it_is_for() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    lines = re.findall(r"^(make (\S+) +)\S", said, re.MULTILINE)
    assert {target for _, target in lines} == set(TARGETS)
    assert len({len(before) for before, _ in lines}) == 1, "they are aligned"


def test_a_file_is_one_workers() -> None:
    """A worker that comes back to a file would make anew what the fixtures of its module have begun."""
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")

    assert "--dist loadfile" in settings["tool:pytest"]["addopts"]
