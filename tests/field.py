"""Cases from the field, one after the other: `python -m tests.field DIRECTORY [--later NAME…]`.

Each folder of DIRECTORY holds a `run.sh` that tries one thing through the front door and prints a line
that begins with PASS, FAIL or SKIP. All share one stack, which is stopped at the end; those that need
one of their own start it. In CI a SKIP is a failure. A case named by --later belongs to work that is
still to come: it is run, and its failure is only told. Exit code 1 when a case failed.

Some cases are scripts of agents that count on their order (50: the reviewer says BLOCKED before the coder has
said READY, or is refused), so nothing else should keep the machine busy. Others only wait for minutes; --only
and --without part the two.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

EGG = Path(sys.executable).with_name("egg")
LIMIT = 400.0
"""Seconds a case may take; the longest of today (a machine that sleeps) takes 110."""


def main() -> int:
    """Run the cases and print a line for each, and one that counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--later", nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--without", nargs="*", default=[])
    given = parser.parse_args()
    cases = sorted(path.parent for path in given.directory.glob("*/run.sh"))
    if not cases:
        sys.exit(
            f"{given.directory} holds no case (a folder with a run.sh): name a folder, make field CASES=…"
        )
    if unknown := {*given.only, *given.without, *given.later} - {case.name for case in cases}:
        sys.exit(f"{given.directory} holds no case called {', '.join(sorted(unknown))}")
    cases = [
        case for case in cases if case.name not in given.without and case.name in (given.only or [case.name])
    ]
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0, "LATER": 0}
    with tempfile.TemporaryDirectory(prefix="egg-field-", dir="/tmp") as home:
        # As root PostgreSQL runs as nobody, and must pass.
        Path(home).chmod(0o711)
        environment = dict(_environment(home))
        for case in cases:
            began = time.monotonic()
            word, line = _run(case, environment)
            word = "LATER" if word != "PASS" and case.name in given.later else word
            counts[word] += 1
            sys.stdout.write(f"{word:5} {case.name} ({time.monotonic() - began:.0f} s): {line}\n")
            sys.stdout.flush()
        subprocess.run([EGG, "down", "--agents"], env=environment, capture_output=True, check=False)
    sys.stdout.write(", ".join(f"{count} {word}" for word, count in counts.items()) + "\n")
    return 1 if counts["FAIL"] or (counts["SKIP"] and os.environ.get("CI")) else 0


def _environment(home: str) -> Iterator[tuple[str, str]]:
    """The caller's own, less whatever leads to a stack of theirs."""
    yield from ((name, value) for name, value in os.environ.items() if not name.startswith("EGG_"))
    yield "EGG", str(EGG)
    yield "EGG_HOME", home
    # A case looks for `egg` on the PATH to find the Python beside it.
    yield "PATH", f"{EGG.parent}:{os.environ['PATH']}"


def _run(case: Path, environment: Mapping[str, str]) -> tuple[str, str]:
    """The case's word, and the rest of the line it printed."""
    bash = shutil.which("bash") or "bash"
    try:
        done = subprocess.run(
            [bash, str(case / "run.sh")],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return "FAIL", f"took longer than {LIMIT:.0f} s"
    lines = done.stdout.decode(errors="replace").splitlines()
    for line in reversed(lines):
        word, _, rest = line.partition(" ")
        if (word := word.rstrip(":")) in {"PASS", "FAIL", "SKIP"}:
            return ("FAIL" if word == "PASS" and done.returncode else word), rest[:300]
    return (
        "FAIL",
        f"said nothing and ended with {done.returncode}: {done.stderr[-300:].decode(errors='replace')}",
    )


if __name__ == "__main__":
    sys.exit(main())
