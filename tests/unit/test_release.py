"""When a commit may be released, and what it is called where no tag tells."""

import tomllib
from pathlib import Path

from packaging.version import Version

from tests import interface, release

ROOT = Path(__file__).parents[2]
WRITTEN = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n"


def test_a_release_wants_its_heading_in_the_changelog_and_its_interface() -> None:
    assert release.wanting("0.2.0", WRITTEN, {"0.1.0", "0.2.0"}) == []
    assert "`## 0.3.0`" in release.wanting("0.3.0", WRITTEN, {"0.3.0"})[0]
    assert "python -m tests.interface 0.2.0" in release.wanting("0.2.0", WRITTEN, {"0.1.0"})[0]


def test_a_commit_without_a_tag_wants_nothing() -> None:
    assert release.wanting("0.2.1.dev3+g24a04a5", WRITTEN, set()) == []


def test_what_has_neither_tag_nor_git_is_later_than_the_last_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    fallback = Version(project["tool"]["setuptools_scm"]["fallback_version"])

    assert fallback > Version(interface.last_release().stem)
    assert fallback.is_devrelease
