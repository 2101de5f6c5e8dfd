"""The first process of every agent: it is there once for each, so it takes little."""

import subprocess
import sys

from egg_tasks.runners.process import SHIM

LOOK = "import sys; exec(compile(open(sys.argv[1]).read(), 'shim.py', 'exec'), {}); print(*sys.modules)"


def test_the_shim_imports_nothing_that_takes_as_long_as_python_itself() -> None:
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LOOK, SHIM], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "ctypes" in found
    assert {"json", "re", "enum", "signal", "pathlib", "typing", "subprocess", "logging"}.isdisjoint(found)
