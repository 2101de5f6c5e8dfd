"""The page on the architecture names files that are there, and tells each journey in a dozen steps."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:cli|egg_tasks|models|migrations|tests|benchmarks|reference|docs)/[^`]*)`")
JOURNEYS = ("A READY", "A message", "An agent run")
MOST_STEPS = 12
NO_LAYERS = {"__pycache__", "demo"}


def test_every_file_that_is_named_is_there() -> None:
    assert [name for name in NAMED.findall(PAGE) if not (ROOT / name).exists()] == []


def test_every_journey_is_told_by_file_names_in_twelve_steps() -> None:
    for journey in JOURNEYS:
        told = PAGE.partition(f"## {journey}\n")[2].partition("\n## ")[0]
        steps = re.findall(r"^\d+\. .*$", told, re.MULTILINE)

        assert 5 < len(steps) <= MOST_STEPS, journey
        assert [step for step in steps if not NAMED.search(step)] == []


def test_every_folder_of_the_program_has_its_line() -> None:
    table = PAGE.partition("## ")[0]
    folders = [
        path for path in (ROOT / "egg_tasks").iterdir() if path.is_dir() and path.name not in NO_LAYERS
    ]

    assert [path.name for path in folders if f"`egg_tasks/{path.name}/`" not in table] == []
