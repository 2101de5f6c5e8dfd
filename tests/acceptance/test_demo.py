"""The main job, as somebody new to it would try it."""

import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance


# In a place of its own choice the wheel's test runs it, and twice in one stack the tutorial's.
def test_the_demo_comes_to_consensus(egg: Egg, tmp_path: Path) -> None:
    done = egg.run("demo", str(tmp_path / "shop"))

    assert "consensus" in done.stdout
    newest = egg.json("pipeline", "list")["pipelines"][0]
    phases = egg.json("phase", "list", newest["id"])["phases"][::-1]
    assert [phase["stop_reason"] for phase in phases] == ["consensus", "consensus"]
    assert [row["status"] for row in phases[1]["objections"]] == ["withdrawn"]
    clone = tmp_path / "merged"
    subprocess.run(
        ["git", "clone", "-q", "-b", f"egg/{newest['id']}", str(tmp_path / "shop"), str(clone)], check=True
    )
    tests = subprocess.run(
        ["python3", "-m", "unittest"], cwd=clone, check=False, capture_output=True, text=True
    )
    assert tests.returncode == 0, tests.stderr


def test_the_demo_makes_nothing_of_a_directory_with_something_in_it(egg: Egg, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    done = egg.run("demo", str(tmp_path), check=False)

    assert (done.returncode, [path.name for path in tmp_path.iterdir()]) == (1, ["mine"])
    assert f"{tmp_path} is not empty" in done.stderr


def test_a_stall_is_asked_and_why_names_both(egg: Egg, shop: Path) -> None:
    done = egg.run("run", "stall.yaml", "--name", "quarrel", "--wait", check=False, cwd=shop)

    assert done.returncode == 3, done.stdout + done.stderr
    why = egg.run("why", "quarrel").stdout
    assert "BLOCKED on" in why
    egg.run("pipeline", "cancel", "quarrel")
    assert egg.status("quarrel") == "cancelled"
