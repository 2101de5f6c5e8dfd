"""The console script, typed where there are packages called like ours."""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from egg_tasks import entry

EGG = Path(sys.executable).parent / "egg"
OURS = Path(entry.__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with packages of the project's own that are called like ours and like those we use."""
    for name in ("cli", "models", "migrations", "click", "yaml", "pydantic"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("raise SystemExit('the project, not egg')\n")
    (tmp_path / "models.py").write_text("raise SystemExit('the project, not egg')\n")
    return tmp_path


def typed(project: Path, *words: str, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), "EGG_HOME": str(project / "egg"), **more}
    return subprocess.run(
        [EGG, *words], env=environment, cwd=project, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("pythonpath", [".", "", ":", "{project}", "nowhere:.:{project}", "{ours}:."])
def test_a_project_with_packages_called_like_ours_does_not_get_in_the_way(
    project: Path, pythonpath: str
) -> None:
    path = pythonpath.format(project=project, ours=OURS)

    done = typed(project, "schema", more={"PYTHONPATH": path})

    assert (done.returncode, done.stderr) == (0, "")
    assert '"phases"' in done.stdout


def test_what_the_interpreter_itself_searches_may_be_named_in_pythonpath(project: Path) -> None:
    named = ":".join(
        [*(entry for entry in sys.path if "/lib/python" in entry and not entry.endswith(".zip")), "."]
    )

    done = typed(project, "schema", more={"PYTHONPATH": named})

    assert (done.returncode, done.stderr) == (0, "")


def test_the_safe_path_leaves_nothing_of_the_interpreters_out(project: Path) -> None:
    done = typed(project, "schema", more={"PYTHONPATH": ".", "PYTHONSAFEPATH": "1"})

    assert (done.returncode, done.stderr) == (0, "")


def test_the_way_in_imports_sys_alone_before_the_path_is_clean() -> None:
    tree = ast.parse(Path(entry.__file__).read_text())

    found = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]

    assert found == ["import sys"]


def test_without_a_mark_of_the_interpreters_own_part_nothing_is_dropped() -> None:
    assert entry.without_strangers(["/somewhere", "/else"], ours="/ours") == ["/somewhere", "/else"]
