"""The figures of the commit before: the benchmarks of now, as far as they fit, over the code of then."""

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
        _bring_benchmarks(then, module)
        words = [str(then / ".venv/bin/python"), "-m", f"benchmarks.{module}", "--json", FOUND, *arguments]
        subprocess.run(words, cwd=then, check=True, stdout=sys.stderr)
        found = json.loads((then / FOUND).read_text())["figures"]
    names = {field.name for field in fields(Figure)}
    return [Figure(**{name: value for name, value in each.items() if name in names}) for each in found]


def _bring_benchmarks(then: Path, module: str) -> None:
    """Have what is measured, and how, be the same for both, unless the code of then is called otherwise."""
    own = then / "benchmarks-of-then"
    (then / "benchmarks").rename(own)
    shutil.copytree(ROOT / "benchmarks", then / "benchmarks")
    tried = [str(then / ".venv/bin/python"), "-c", f"import benchmarks.{module}"]
    if subprocess.run(tried, cwd=then, capture_output=True, check=False).returncode:
        print("its names have changed since: it is measured with its own benchmarks", file=sys.stderr)
        shutil.rmtree(then / "benchmarks")
        own.rename(then / "benchmarks")


def beside(now: Sequence[Figure], then: Sequence[Figure], commit: str) -> list[Figure]:
    """The figures of now, each once beside itself as it was, and beside its yardsticks."""
    was = {(each.group, each.what): each.value for each in then}
    told: set[tuple[str, str]] = set()
    found = []
    for each in now:
        key = (each.group, each.what)
        if key in was and key not in told:
            told.add(key)
            found.append(Figure(each.group, each.what, each.value, each.unit, f"at {commit}", was[key]))
        if each.yardstick or key not in was:
            found.append(each)
    return found
