"""The proof of the bus in its short form: `make prove-bus` is the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]


def test_the_bus_loses_and_doubles_nothing_while_its_servers_are_killed() -> None:
    command = [sys.executable, "-m", "benchmarks.prove_bus", "--short"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=170)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("no violation") == 2
