"""Clearing a run's directory away, whatever its agent has made of it."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from egg_tasks import removal
from egg_tasks.workspace import clearing

RUN = uuid4()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the directories of one run."""
    (tmp_path / "shims" / str(RUN)).mkdir(parents=True)
    (tmp_path / "shims" / str(RUN) / "output.log").write_text("said")
    given = tmp_path / "runs" / str(RUN)
    (given / "clone").mkdir(parents=True)
    (given / "clone/work.txt").write_text("work")
    (given / "prompt.md").write_text("Do it.")
    return tmp_path


def entries(home: Path, run_id: UUID = RUN) -> set[str]:
    """What is left of what the agent was given."""
    given = home / "runs" / str(run_id)
    return {path.name for path in given.iterdir()} if given.is_dir() else set()


def test_all_goes_but_the_prompt_and_the_log(home: Path) -> None:
    (home / "runs" / str(RUN) / "left-by-the-agent").write_bytes(bytes(1000))

    clearing.discard(home, RUN)
    clearing.discard(home, RUN)

    assert entries(home) == {"prompt.md"}
    assert (home / "runs" / str(RUN) / "prompt.md").read_text() == "Do it."
    assert (home / "shims" / str(RUN) / "output.log").read_text() == "said"
    assert clearing.tidy(home, seconds=60)
    assert not any(map(removal.is_going, (home / folder for folder in clearing.FOLDERS)))


@pytest.mark.parametrize("kind", ["a pipe", "a link", "a giant"])
def test_a_prompt_that_is_none_goes_too(home: Path, kind: str) -> None:
    prompt = home / "runs" / str(RUN) / "prompt.md"
    prompt.unlink()
    (home / "precious").write_text("mine")
    if kind == "a pipe":
        os.mkfifo(prompt)
    elif kind == "a link":
        prompt.symlink_to(home / "precious")
    else:
        prompt.touch()
        os.truncate(prompt, 1 << 40)

    clearing.discard(home, RUN)

    assert entries(home) == set()
    assert (home / "precious").read_text() == "mine"


def test_a_run_that_an_earlier_release_laid_out_keeps_its_log(home: Path) -> None:
    run_id = uuid4()
    given = home / "runs" / str(run_id)
    for name in ("clone", "home", "checkout-0123456789ab"):
        (given / name).mkdir(parents=True)
    for name in ("spec.json", "output.log", "outcome.json", "prompt.md"):
        (given / name).write_text("{}")

    clearing.discard(home, run_id)

    assert entries(home, run_id) == {"spec.json", "output.log", "outcome.json", "prompt.md"}


def test_what_is_kept_is_the_clone_and_not_what_an_agent_calls_so(home: Path) -> None:
    (home / "runs" / str(RUN) / "kept").mkdir()
    (home / "runs" / str(RUN) / "kept/forged").touch()

    assert clearing.keep(home, RUN)
    assert clearing.keep(home, RUN), "it is kept already"

    assert (home / "runs" / str(RUN) / "kept/work.txt").read_text() == "work"
    assert not (home / "runs" / str(RUN) / "clone").exists()


def test_a_run_whose_directory_leads_elsewhere_has_nothing_to_keep(home: Path) -> None:
    elsewhere = home / "elsewhere"
    (elsewhere / "clone").mkdir(parents=True)
    run_id = uuid4()
    (home / "runs" / str(run_id)).symlink_to(elsewhere)

    assert not clearing.keep(home, run_id)
    clearing.discard(home, run_id)

    assert (elsewhere / "clone").is_dir()
    assert not (home / "runs" / str(run_id)).is_symlink()


def test_a_run_that_left_nothing_is_cleared_away_all_the_same(home: Path) -> None:
    assert not clearing.keep(home, uuid4())
    clearing.discard(home, uuid4())
    clearing.forget(home, uuid4())
