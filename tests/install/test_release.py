"""What `make release` builds of a commit, and what it is called."""

import subprocess
from pathlib import Path

import pytest

from tests import release
from tests.wheel import ROOT

pytestmark = pytest.mark.timeout(300)


def test_a_release_is_called_as_its_tag_and_holds_what_is_committed_and_nothing_else(tmp_path: Path) -> None:
    tagged = tmp_path / "tagged"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tagged)], check=True)
    subprocess.run(["git", "tag", "v9.9.0"], cwd=tagged, check=True)
    (tagged / "cli/of_mine.py").write_text("")

    wheel, source = release.build(tmp_path / "clone", tmp_path / "dist", root=tagged)

    assert (wheel.name, source.name) == ("egg_tasks-9.9.0-py3-none-any.whl", "egg_tasks-9.9.0.tar.gz")
    assert release.faults(wheel, source) == []
