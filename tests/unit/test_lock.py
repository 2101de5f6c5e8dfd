"""The locks hold what is asked for: whoever changes `setup.cfg` renews them with `make lock`."""

import configparser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def locked(name: str) -> dict[str, Version]:
    """What a lock names, by the package's name."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    pinned = [
        line.split()[0].split("==") for line in lines if "==" in line and not line.startswith((" ", "#"))
    ]
    return {package.partition("[")[0].lower(): Version(version) for package, version in pinned}


def asked(*, dev: bool) -> list[Requirement]:
    """What `setup.cfg` asks for."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].splitlines()
    if dev:
        lines += config["options.extras_require"]["dev"].splitlines()
    return [Requirement(line) for line in lines if line]


def wanted(name: str) -> list[Requirement]:
    """What is asked for beside `setup.cfg`."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(
    ("name", "requirements"),
    [
        ("runtime.txt", asked(dev=False)),
        ("dev.txt", asked(dev=True)),
        ("tools.txt", wanted("tools.in")),
        ("build.txt", wanted("build.in")),
        ("node.txt", wanted("node.in")),
    ],
)
def test_a_lock_holds_what_is_asked_for(name: str, requirements: list[Requirement]) -> None:
    pinned = locked(name)

    missing = [
        str(each)
        for each in requirements
        if each.name.lower() not in pinned or pinned[each.name.lower()] not in each.specifier
    ]

    assert missing == [], "make lock"


def test_the_two_locks_name_the_same_versions() -> None:
    runtime, dev = locked("runtime.txt"), locked("dev.txt")

    assert {name: version for name, version in runtime.items() if dev.get(name) != version} == {}
