"""The benchmark of clones and containers in its short form; `make bench-workspace` is the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine import IMAGE, OwnEngine

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(400)
def test_every_part_of_the_benchmark_has_figures_beside_a_yardstick(
    tmp_path: Path, container_engine: OwnEngine
) -> None:
    found = tmp_path / "figures.json"
    where = ["--engine", container_engine.url, "--image", IMAGE]
    command = [sys.executable, "-m", "benchmarks.bench_workspace", "--short", "--json", str(found), *where]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=390)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    groups = [figure["group"] for figure in json.loads(found.read_text())["figures"] if figure["ratio"]]
    assert len(groups) == 8
    assert len(set(groups)) == 4
    assert container_engine.docker("ps", "-aq", "--filter", "label=egg.home") == ""
