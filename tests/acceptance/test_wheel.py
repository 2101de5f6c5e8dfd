"""Installed from a wheel, without a checkout: the demo works, and so does all that it tells one to type."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg
from tests.wheel import PIP, build

pytestmark = pytest.mark.acceptance

TO_TYPE = re.compile(r"^  ((?:git|\S*egg) .*)$|with: (.*)$", re.MULTILINE)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    return build(tmp_path_factory.mktemp("copy"))


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
