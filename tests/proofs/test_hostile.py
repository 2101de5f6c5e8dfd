"""A hostile agent beside others, in its short form: `make hostile` is the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(400)
def test_a_hostile_agent_keeps_no_pipeline_from_its_end() -> None:
    command = [sys.executable, "-m", "benchmarks.hostile", "--short"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=390)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "no violation" in done.stdout
    assert "idle connections" in done.stdout, "it did what it is there for"
