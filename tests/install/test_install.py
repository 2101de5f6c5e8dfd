"""The lock installs with any pip of a supported Python, and no later release of anything breaks it."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

# Another file of these is tried beside it.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
OLDEST_PIP = "23.0"
"""What Debian 12 gives its Python 3.11."""
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
WANTED = "tabulate"
"""A package that our lock names, with an extra of its own."""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder of releases."""
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


@pytest.fixture
def newer_release(index: Path) -> Mapping[str, str]:
    """An environment in which pip finds a newer release of a package that another wants with an extra."""
    wheel(index, WANTED, "999.0", "Provides-Extra: widechars")
    links = f"{index} {os.environ.get('PIP_FIND_LINKS', '')}"
    # Nothing of what is installed is run here, so that pip need not compile it.
    quick = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_COMPILE": "0"}
    return {**outside_of_make(), "PIP_FIND_LINKS": links.strip(), **quick}


@pytest.fixture
def wanting(tmp_path: Path, index: Path) -> Path:
    """The lock, and in it another package that wants one with an extra."""
    file = wheel(index, "wanting", "1.0", f"Requires-Dist: {WANTED}[widechars]>=0.1")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    lock = (ROOT / "requirements/dev.txt").read_text()
    (tmp_path / "lock.txt").write_text(f"{lock}wanting==1.0 --hash=sha256:{digest}\n")
    return tmp_path / "lock.txt"


def wheel(index: Path, name: str, version: str, said: str) -> Path:
    """Make a release of a package that holds nothing but what it says of itself."""
    file, inside = index / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(f"{inside}/METADATA", f"{METADATA.format(name=name, version=version)}{said}\n")
        opened.writestr(f"{inside}/WHEEL", WHEEL)
        opened.writestr(f"{inside}/RECORD", "")
    return file


def outside_of_make() -> dict[str, str]:
    """Our environment without what the `make` above us says to another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def environment_of(python: str, venv: Path, *, pip: str | None) -> Path:
    """Make a virtual environment whose pip is the one named (None: the newest)."""
    subprocess.run([python, "-m", "venv", venv], check=True)
    wanted = f"pip=={pip}" if pip else "pip"
    quietly(venv / "bin/python", "-m", "pip", "install", "--upgrade", wanted)
    return venv


def quietly(*command: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    done = run(*command, env=env)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command and hear all it says."""
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def installed(venv: Path, env: Mapping[str, str]) -> str:
    """Install by the Makefile; the version that is there then of what there is a newer release of."""
    quietly("make", f"VENV={venv}", f"{venv}/.installed", env=env)
    quietly(venv / "bin/python", "-m", "pip", "check")
    asked = f"import importlib.metadata as m; print(m.version('{WANTED}'))"
    return quietly(venv / "bin/python", "-c", asked).stdout.strip()


def locked() -> str:
    """The version of it that the lock names."""
    lines = (ROOT / "requirements/dev.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{WANTED}==")).split()[0].partition("==")[2]


def test_a_newer_release_breaks_an_old_pip_that_resolves_and_not_one_that_does_as_the_makefile(
    tmp_path: Path, newer_release: Mapping[str, str], wanting: Path
) -> None:
    venv = environment_of(sys.executable, tmp_path / "venv", pip=OLDEST_PIP)

    resolving = run(venv / "bin/pip", "install", "--require-hashes", "-r", wanting, env=newer_release)
    quietly(venv / "bin/pip", "install", "--no-deps", "--require-hashes", "-r", wanting, env=newer_release)
    version = installed(venv, newer_release)

    assert "all requirements must have their versions pinned" in resolving.stderr
    assert version == locked()


@pytest.mark.parametrize("name", PYTHONS)
def test_the_newest_pip_of_each_python_installs_what_the_lock_names(
    tmp_path: Path, newer_release: Mapping[str, str], name: str
) -> None:
    python = found(name)
    if python is None:
        pytest.skip(f"there is no Python {name} on this machine")

    version = installed(environment_of(python, tmp_path / "venv", pip=None), newer_release)

    assert version == locked()


@pytest.mark.parametrize("name", ["2.7", "3.8", "3.10"])
def test_a_python_that_is_too_old_gets_one_sentence(tmp_path: Path, name: str) -> None:
    python = found(name)
    if python is None:
        pytest.skip(f"there is no Python {name} on this machine")

    done = run(
        "make",
        f"PYTHON={python}",
        f"VENV={tmp_path}/venv",
        f"{tmp_path}/venv/.installed",
        env=outside_of_make(),
    )

    said = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    sentence = f"egg-tasks needs Python 3.11 or newer and {python} is {name}: name another one, as in "
    assert said == [f"{sentence}make PYTHON=python3.12"]
    assert not (tmp_path / "venv").exists()


def found(name: str) -> str | None:
    """A Python of this version on the PATH or among those of pyenv."""
    if sys.version.startswith(f"{name}."):
        return sys.executable
    versions = Path.home() / ".pyenv/versions"
    candidates = [*sorted(versions.glob(f"{name}.*/bin/python")), shutil.which(f"python{name}")]
    return next((str(one) for one in candidates if one), None)
