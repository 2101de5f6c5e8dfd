"""Makes a release of the commit that is checked out: python -m tests.release, or make release.

The version is the commit's tag (`v0.2.0`). Wheel and source distribution are built from a clone, so that what
else lies here does not come along; each is installed into an empty environment, and must run the demo there.
A commit without a tag is rehearsed: all is done and looked at, and it is said that it is no release.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

from tests.wheel import PIP, ROOT

DIST = ROOT / "dist"
PACKAGES = ("cli", "egg_tasks", "migrations", "models")
RELEASE = re.compile(r"\d+(\.\d+)+")
MADE = re.compile(r"PKG-INFO|egg_tasks\.egg-info/.*")
"""What a source distribution has and git has not."""
DEMO_SECONDS = 300


def main() -> None:
    """Build into dist/, look, install, try; exits with a sentence about what is wrong."""
    with tempfile.TemporaryDirectory(prefix="egg-release-", dir="/tmp", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        wheel, source = build(Path(place) / "clone", DIST)
        version = wheel.name.split("-")[1]
        kept = {path.stem for path in (ROOT / "tests/data/interface").glob("*.json")}
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        found = [*wanting(version, changelog, kept), *faults(wheel, source)]
        if found:
            sys.exit("\n".join(["no release:", *(f"  {fault}" for fault in found)]))
        for made in (wheel, source):
            _say(f"{made.name}: installing it into an empty environment, and the demo")
            if fault := tried(made, Path(place) / made.suffix.strip("."), version):
                sys.exit(f"no release: {made.name}: {fault}")
    _say(f"{wheel}\n{source}\nboth work.")
    if not RELEASE.fullmatch(version):
        _say(
            f"{version} is no release, as this commit has no tag: git tag v0.2.0, say, and make release again"
        )


def build(clone: Path, dist: Path, *, root: Path = ROOT) -> tuple[Path, Path]:
    """The wheel and the source distribution of what is committed, made in *dist*, which is emptied before."""
    subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
    shutil.rmtree(dist, ignore_errors=True)
    made = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(clone)]
    done = subprocess.run(made, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"it cannot be built:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return wheel, source


def wanting(version: str, changelog: str, kept: set[str]) -> list[str]:
    """What a release of this version still needs; nothing of a version that is none."""
    if not RELEASE.fullmatch(version):
        return []
    found = []
    if not re.search(rf"^## {re.escape(version)}\b", changelog, re.MULTILINE):
        found.append(
            f"CHANGELOG.md has no `## {version}`: rename `## Unreleased`, and begin a new one above it"
        )
    if version not in kept:
        found.append(
            f"its interface is not kept: `python -m tests.interface {version}`, commit that, then tag anew"
        )
    return found


def faults(wheel: Path, source: Path) -> list[str]:
    """What is in the two that is not committed, or is committed and not in them."""
    head = ["git", "ls-tree", "-rz", "--name-only", "HEAD"]
    listed = subprocess.run(head, cwd=ROOT, check=True, capture_output=True, text=True)
    committed = set(filter(None, listed.stdout.split("\0")))
    with tarfile.open(source) as archive:
        inside = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    inside = {name for name in inside if not MADE.fullmatch(name)}
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    needed = {name for name in committed if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    return [
        *(f"{source.name} lacks {name}" for name in sorted(committed - inside)),
        *(f"{source.name} has {name}, which is not committed" for name in sorted(inside - committed)),
        *(f"{wheel.name} lacks {name}" for name in sorted(needed - names)),
        *(f"{wheel.name} has {name}, which is none of ours" for name in sorted(names - needed)),
    ]


def tried(made: Path, place: Path, version: str) -> str:
    """Install one of the two with what the lock names, and run the demo; what is wrong, or an empty text."""
    venv.create(place / "venv")
    pip = [*PIP, "--python", str(place / "venv/bin/python"), "install", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements/runtime.txt")], check=True)
    subprocess.run([*pip, str(made)], check=True)
    egg = str(place / "venv/bin/egg")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EGG_", "PYTHON"))}
    (place / "folder").mkdir()
    place.chmod(0o711)
    said = ""
    try:
        for words in (["--version"], ["demo"]):
            done = subprocess.run(
                [egg, *words],
                cwd=place / "folder",
                env=kept | {"EGG_HOME": str(place / "home")},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=DEMO_SECONDS,
            )
            if done.returncode:
                return f"`egg {' '.join(words)}` exits with {done.returncode}: {done.stdout}{done.stderr}"
            said += done.stdout
    finally:
        down = {"EGG_HOME": str(place / "home"), "PATH": os.environ["PATH"]}
        subprocess.run([egg, "down", "--agents"], env=down, check=False, capture_output=True)
    return "" if f"version {version}\n" in said and "demo-1: complete" in said else f"it says {said}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
