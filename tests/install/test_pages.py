"""The pages on installing and on backups, typed by somebody with an empty folder: `make test-install`."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.test_tutorial import AUTHOR, EXIT_CODES, missing, steps, typed
from tests.pages import ROOT, blocks
from tests.wheel import build

pytestmark = pytest.mark.timeout(900)

HOWTO = ROOT / "docs" / "howto"
TOOLS = ("uv", "pipx")
WHO = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
TERMINAL = {
    "TERM": "xterm",
    "COLUMNS": "100",
    "LINES": "40",
    "PAGER": "cat",
    **dict.fromkeys(WHO, "ada@localhost"),
}
"""A person's terminal; they have told git who they are."""
SLOW = """
version: 1
repo: {repository}
prompt: Take your time.
agents:
  coder: {{backend: command, command: [sh, -c, "sleep {seconds}; egg signal readiness --state READY"]}}
phases: [{{name: work, roles: [{{role: coder}}]}}]
"""


@dataclass
class Newcomer:
    """Somebody with a home and a folder of their own, whose programs are not ours."""

    home: Path
    folder: Path
    environment: dict[str, str]

    def type(self, script: str) -> str:
        """Type lines into one shell, which ends at the first that is refused; what it said."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def left(self) -> set[str]:
        """What is in the home, but for what the tools keep for themselves."""
        found = (path for path in self.home.rglob("*") if path.is_file() or path.is_symlink())
        of_tools = (".cache", ".local/share/uv", ".local/share/pipx", ".local/state", ".config", "tools")
        names = (str(path.relative_to(self.home)) for path in found)
        return {name for name in names if not name.startswith(of_tools)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    return build(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where uv and pipx are, and nothing of ours."""
    venv = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/pip", "--quiet", "install", *TOOLS], check=True)
    return venv / "bin"


@pytest.fixture
def newcomer(tools: Path) -> Iterator[Newcomer]:
    """Somebody new; what they have started is stopped, and removed."""
    home = Path(tempfile.mkdtemp(prefix="egg-", dir="/tmp"))
    home.chmod(0o711)
    folder = home / "folder"
    folder.mkdir()
    own = home / ".local/bin"
    path = [str(own), str(tools), *(each for each in os.environ["PATH"].split(":") if is_foreign(each))]
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    environment = {
        **kept,
        "PATH": ":".join(path),
        "HOME": str(home),
        "EGG_HOME": str(home / "stack"),
        "LANG": "C.UTF-8",
    }
    someone = Newcomer(home, folder, environment)
    yield someone
    for stack in ("stack", "restored", "from-rows"):
        line = f"! command -v egg || EGG_HOME={home / stack} egg down --agents"
        subprocess.run(["bash", "-c", line], env=environment, check=False, capture_output=True)
    shutil.rmtree(home)


def is_foreign(directory: str) -> bool:
    """Whether a directory of the PATH has no `egg`, uv or pipx of another."""
    return not any((Path(directory) / name).exists() for name in ("egg", *TOOLS))


def page(name: str, *marks: str) -> list[str]:
    """What a page has one type, in order, on one of the ways that it shows."""
    found = list(blocks(HOWTO / name))
    return [block.text for block in found if block.is_run and (not block.mark or block.mark in marks)]


@pytest.mark.parametrize("tool", TOOLS)
def test_installed_by_a_tool_the_demo_runs_from_an_empty_folder_and_nothing_is_left(
    newcomer: Newcomer, wheel: Path, tool: str
) -> None:
    install, demo, upgrade, again, *uninstall = page("install.md", tool)
    shutil.copy(wheel, newcomer.folder)

    newcomer.type(install)
    for name in newcomer.folder.iterdir():
        name.rename(newcomer.home / name.name)
    said = newcomer.type(demo)

    assert "demo-1: complete" in said
    assert list(newcomer.folder.iterdir()) == []
    (newcomer.home / wheel.name).rename(newcomer.folder / wheel.name)
    newcomer.type(upgrade)
    assert "API " in newcomer.type(again)
    for lines in uninstall:
        newcomer.type(lines)
    assert newcomer.left() == {f"folder/{wheel.name}"}
    assert not (newcomer.home / "stack").exists()


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial/first-pipeline.md"])
def test_the_pages_one_begins_with_are_right_where_egg_is_installed(
    newcomer: Newcomer, wheel: Path, name: str
) -> None:
    shutil.copy(wheel, newcomer.home)
    newcomer.type(f"cd ..; {page('install.md', 'uv')[0]}")
    found = steps((ROOT / name).read_text(), without="in a clone")

    answers = typed(
        [step.line for step in found],
        environment=newcomer.environment | TERMINAL | AUTHOR,
        place=newcomer.folder,
    )

    assert len(answers) == len(found)
    for step, (said, code) in zip(found, answers, strict=True):
        assert code == EXIT_CODES.get(step.line, 0), f"$ {step.line}\n{said}"
        lacks = missing(step.shown, said)
        assert lacks is None, f"$ {step.line}\nshows {lacks!r}; it said:\n{said}"
    assert list(newcomer.folder.iterdir()) == []


def test_what_is_backed_up_is_restored_elsewhere_and_goes_on(newcomer: Newcomer, wheel: Path) -> None:
    shutil.copy(wheel, newcomer.folder)
    newcomer.type(page("install.md", "uv")[0])
    repository = newcomer.home / "repository"
    who = "-c user.name=Ada -c user.email=ada@example.org"
    newcomer.type(f"git init -q {repository}; git -C {repository} {who} commit -qm First --allow-empty")
    (newcomer.folder / "slow.yaml").write_text(SLOW.format(repository=repository, seconds=600))
    (newcomer.folder / "quick.yaml").write_text(SLOW.format(repository=repository, seconds=0))
    newcomer.type("egg run quick.yaml --name quick; egg run slow.yaml --name slow --detach")
    backup, restore, dump, rows = (placed(text, newcomer) for text in page("back-up.md"))

    newcomer.type(f"{backup}\negg pipeline list")
    copied = newcomer.type(f"{restore}\negg pipeline get quick --json\negg down --agents")
    newcomer.type(dump)
    from_rows = newcomer.type(f"{dump}\n{rows}\negg pipeline get quick --json\negg agent list slow")

    assert "is a copy" in copied
    for said in (copied, from_rows):
        assert "slow" in said
        assert '"status": "complete"' in said
    assert "running" in newcomer.type("egg pipeline get slow --json")


def placed(text: str, newcomer: Newcomer) -> str:
    """The lines, with this newcomer's places for those of the page."""
    return text.replace("/srv/egg-", f"{newcomer.home}/")
