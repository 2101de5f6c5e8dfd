"""What `egg init` writes runs as it is, in any repository, with no Python there but egg's own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Somebody's repository, of no Python, with tests and a file that is not committed."""
    path = tmp_path / "my shop"
    path.mkdir()
    (path / "Makefile").write_text("test:\n\t@test -f Makefile\n")
    (path / "shop.c").write_text("int main(void) { return 0; }\n")
    (path / ".gitignore").write_text("*.md\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q", "-b", "trunk"), ("add", "-A"), ("commit", "-qm", "begin")):
        subprocess.run(["git", *identity, *words], cwd=path, check=True)
    (path / "draft.c").touch()
    return path


def test_it_runs_as_it_is_and_its_agents_come_to_agree(egg: Egg, own: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program in ("git", "sh", "make"):
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program)))
    without_python = f"agents.author.environment.PATH={tmp_path}/bin"
    written = egg.run("init", cwd=own)

    done = egg.run("run", "--name", "first-own", "--set", without_python, cwd=own)

    assert "1 uncommitted file in" in written.stderr
    assert f"egg.yaml of {own}" in done.stderr
    assert "first-own: complete" in done.stdout
    assert "reviewer on author v1, withdrawn: EGG-NOTES.md says 3 files, and with itself" in done.stdout
    notes = egg.type("git show egg/first-own:EGG-NOTES.md", cwd=own)
    assert "> Write down what this repository holds.\n\nFiles: 4\n\n- 2 of other\n- 1 of `.c`\n" in notes
    here = sorted(path.name for path in own.iterdir())
    assert here == [".git", ".gitignore", "Makefile", "draft.c", "egg.yaml", "shop.c"]


def test_a_person_who_types_an_example_agent_is_told_whose_it_is(egg: Egg) -> None:
    done = egg.run("example-agent", "author", check=False)

    assert done.returncode == 1
    assert "this command is for agents, and egg starts them with it" in done.stderr
