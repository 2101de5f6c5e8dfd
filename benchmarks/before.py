"""The figures of the commit before: the benchmarks of now, over the code of then, in the same run."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.figures import Figure

ROOT = Path(__file__).parents[1]
FOUND = "before.json"


def figures(commit: str, module: str, arguments: Sequence[str]) -> list[Figure]:
    """Measure with the code of a commit, in a checkout and an environment of its own, which go again."""
    with tempfile.TemporaryDirectory(prefix="egg-before-", dir="/tmp") as place:
        then = Path(place) / "egg"
        print(f"installing {commit}", file=sys.stderr)
        subprocess.run(["git", "clone", "-q", "--no-checkout", ROOT, then], check=True)
        name = subprocess.run(
            ["git", "-C", ROOT, "rev-parse", f"{commit}^{{commit}}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        subprocess.run(["git", "-C", then, "checkout", "-q", "--detach", name], check=True)
        subprocess.run(["make", "-s", ".venv/.installed"], cwd=then, check=True, stdout=sys.stderr)
        # What is measured, and how, is the same for both.
        shutil.rmtree(then / "benchmarks")
        shutil.copytree(ROOT / "benchmarks", then / "benchmarks")
        words = [str(then / ".venv/bin/python"), "-m", f"benchmarks.{module}", "--json", FOUND, *arguments]
        subprocess.run(words, cwd=then, check=True, stdout=sys.stderr)
        found = json.loads((then / FOUND).read_text())["figures"]
    names = {field.name for field in fields(Figure)}
    return [Figure(**{name: value for name, value in each.items() if name in names}) for each in found]


def beside(now: Sequence[Figure], then: Sequence[Figure], commit: str) -> list[Figure]:
    """The figures of now, each once more beside itself as it was."""
    was = {(each.group, each.what): each.value for each in then}
    told: set[tuple[str, str]] = set()
    found = []
    for each in now:
        key = (each.group, each.what)
        if key in was and key not in told:
            told.add(key)
            found.append(Figure(each.group, each.what, each.value, each.unit, f"at {commit}", was[key]))
        found.append(each)
    return found
