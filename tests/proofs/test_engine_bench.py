"""The engine's benchmark in its short form, to see that it works; `make bench-engine` is the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]


def test_every_part_of_the_benchmark_has_figures_beside_a_yardstick(tmp_path: Path) -> None:
    found = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.bench_engine", "--short", "--json", str(found)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=170)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    groups = {figure["group"] for figure in json.loads(found.read_text())["figures"] if figure["ratio"]}
    assert groups == {
        "a chain of phases",
        "from one moment to the next",
        "agents sent a second",
        "agents at once",
    }
