"""Chaos in its short form: `make chaos` is the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(400)
def test_pipelines_end_as_without_faults_while_every_process_is_killed() -> None:
    command = [sys.executable, "-m", "benchmarks.chaos", "--short"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=390)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "no violation" in done.stdout
