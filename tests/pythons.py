"""Runs the unit tests with every Python from 3.11 on that this machine has: make test-pythons.

Each gets an environment of its own from the lock (`.venv-3.12`), and is made anew when the lock changes.
"""

import subprocess
import sys

from tests.install.test_install import PYTHONS, ROOT, found, outside_of_make


def main() -> None:
    """Test with one after the other; exits with the names of those that failed."""
    failed = []
    for name in PYTHONS:
        python = found(name)
        if python is None:
            _say(f"Python {name}: there is none on this machine (`uv python install {name}`, or pyenv)")
            continue
        _say(f"Python {name}: {python}")
        environment = f".venv-{name}"
        make = ["make", f"PYTHON={python}", f"VENV={environment}", f"{environment}/.installed"]
        tests = [f"{environment}/bin/python", "-m", "pytest", "-q", "-n", "2", "tests/unit"]
        for command in (make, tests):
            if subprocess.run(command, cwd=ROOT, env=outside_of_make(), check=False).returncode:
                failed.append(name)
                break
    if failed:
        sys.exit(f"failed with Python {', '.join(failed)}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
