"""A wheel of this checkout, built as anybody would."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def build(copy: Path) -> Path:
    """Build a wheel in *copy*, an empty directory: what an earlier build left here is not in it."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    how = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(copy / "dist")]
    subprocess.run([*PIP, "wheel", *how, str(copy)], check=True)
    (made,) = (copy / "dist").glob("*.whl")
    return made
