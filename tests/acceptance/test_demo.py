"""The main job, as somebody new to it would try it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance


def test_the_demo_comes_to_consensus_twice(egg: Egg, tmp_path: Path) -> None:
    first = egg.run("demo")
    second = egg.run("demo")

    assert "consensus" in first.stdout
    assert "consensus" in second.stdout
    newest = egg.json("pipeline", "list")["pipelines"][0]
    phases = egg.json("phase", "list", newest["id"])["phases"]
    assert [phase["stop_reason"] for phase in phases] == ["consensus", "consensus"]
    assert [row["status"] for row in phases[1]["objections"]] == ["withdrawn"]
    clone = tmp_path / "merged"
    subprocess.run(
        ["git", "clone", "-q", "-b", newest["work_branch"], newest["repository"], str(clone)], check=True
    )
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=clone, check=False, capture_output=True, text=True
    )
    assert tests.returncode == 0, tests.stdout


def test_a_stall_is_asked_and_why_names_both(egg: Egg, tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from examples.demo import STALL, make_repository

    repository = make_repository(tmp_path / "shop", definition=STALL)
    done = egg.run("run", "egg.yaml", "--name", "quarrel", "--wait", check=False, cwd=repository)

    assert done.returncode == 3, done.stdout + done.stderr
    why = egg.run("why", "quarrel").stdout
    assert "BLOCKED on" in why
    egg.run("pipeline", "cancel", "quarrel")
    assert egg.status("quarrel") == "cancelled"
