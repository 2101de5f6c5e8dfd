"""Installed from a wheel, without a checkout: the demo works, and so does all that it tells one to type."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT, Egg

pytestmark = pytest.mark.acceptance

TO_TYPE = re.compile(r"^  ((?:git|\S*egg) .*)$|with: (.*)$", re.MULTILINE)

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy: what an earlier build left in the checkout must not get into it."""
    copy = tmp_path_factory.mktemp("copy")
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


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """The command `egg` of an environment that holds the wheel and, read-only, what the lock names."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    there = ["--python", str(venv / "bin/python")]
    subprocess.run([*PIP, *there, "install", "--no-index", "--no-deps", str(wheel)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but its own .pth files are not read: our checkout is not in it.
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib"))
    return venv / "bin" / "egg"


def test_the_demo_works_from_an_empty_directory_and_every_command_it_prints_works_there(
    person: Egg, installed: Path, tmp_path: Path
) -> None:
    person.program = str(installed)
    place = tmp_path / "empty"
    place.mkdir()

    done = person.run("demo", cwd=place)

    assert "demo-1: complete" in done.stdout
    assert list(place.iterdir()) == []
    commands = [one or other for one, other in TO_TYPE.findall(done.stdout + done.stderr)]
    assert [command.split()[-2:] for command in commands] == [
        ["diff", "main...egg/demo-1"],
        ["merge", "egg/demo-1"],
        ["../venv/bin/egg", "down"],
    ]
    said = [person.type(command, cwd=place) for command in commands]
    assert "+def shipping_cost(subtotal: int) -> int:" in said[0]
    assert "shop/shipping.py" in said[1]
    assert "no egg server answers" in person.run("pipeline", "list", check=False).stderr
