"""The `egg` of agents: alone in its directory, led astray by nothing, whole or not there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from egg_tasks import agent_tools
from models.errors import Unavailable

SYSTEM = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the tools of agents."""
    home = tmp_path_factory.mktemp("tools")
    agent_tools.install(home)
    return home


def typed(
    home: Path, *words: str, cwd: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Type a command as an agent does, by its name alone."""
    environment = {"PATH": f"{agent_tools.install(home)}:{SYSTEM}", "HOME": str(cwd), **(more or {})}
    found = shutil.which(words[0], path=environment["PATH"])
    assert found is not None
    return subprocess.run(
        [found, *words[1:]], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )


def test_the_directory_in_front_holds_egg_alone(home: Path) -> None:
    assert {path.name for path in agent_tools.install(home).iterdir()} == {"egg", "egg-orch"}


@pytest.mark.parametrize("program", ["egg", "egg-orch"])
def test_neither_the_environment_nor_the_directory_leads_it_astray(
    home: Path, tmp_path: Path, program: str
) -> None:
    for name in ("cli", "models", "click", "json", "egg_tasks", "encodings"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the project, not egg')\n")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('the project, not egg')\n")
    more = {"PYTHONPATH": ".", "PYTHONHOME": str(tmp_path), "PYTHONSTARTUP": "sitecustomize.py"}

    done = typed(home, program, "message", "poll", cwd=tmp_path, more={**more, "PYTHONWARNINGS": "error"})

    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "Error: Which pipeline? Give PIPELINE (agents have EGG_PIPELINE_ID).",
    )


def test_it_needs_none_of_eggs_own_environment(home: Path, tmp_path: Path) -> None:
    script = (agent_tools.install(home) / "egg").read_text()
    installed = str(Path(sys.prefix))
    alone = tmp_path / "alone"
    shutil.copytree(agent_tools.install(home).parent, alone)
    (alone / "bin/egg").write_text(script.replace(installed, "/nowhere"))

    done = subprocess.run(
        [alone / "bin/egg", "context", "p"], env={"PATH": SYSTEM}, capture_output=True, text=True, check=False
    )

    assert not script.splitlines()[0].startswith(f"#!{installed}")
    assert (done.returncode, "EGG_SESSION_TOKEN is not set" in done.stderr) == (1, True)


def test_what_people_type_works_too_while_the_installation_is_there(home: Path, tmp_path: Path) -> None:
    done = typed(home, "egg", "schema", cwd=tmp_path)

    assert (done.returncode, '"phases"' in done.stdout) == (0, True)


def test_it_starts_no_stack(home: Path, tmp_path: Path) -> None:
    done = typed(home, "egg", "up", cwd=tmp_path, more={"EGG_HOME": str(tmp_path / "egg")})

    assert "with an `egg` of their own" in done.stderr, done.stderr
    assert done.returncode == 1


def test_many_who_make_it_at_once_make_it_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(agent_tools.install, [tmp_path] * 8))

    (directory,) = (tmp_path / agent_tools.NAME).iterdir()
    assert made == {directory / "bin"}


def test_one_that_was_killed_half_way_is_no_obstacle(tmp_path: Path) -> None:
    draft = tmp_path / agent_tools.NAME / ".half"
    (draft / "bin").mkdir(parents=True)
    os.utime(draft, (0, 0))

    agent_tools.renew(tmp_path)

    assert (agent_tools.install(tmp_path) / "egg").exists()
    assert not draft.exists()


def test_what_an_agent_changed_is_mended_at_the_next_start(tmp_path: Path) -> None:
    egg = agent_tools.install(tmp_path)
    (egg.parent / "lib/click/__init__.py").write_text("raise SystemExit('changed')\n")

    agent_tools.renew(tmp_path)

    assert "changed" not in (egg.parent / "lib/click/__init__.py").read_text()


def test_a_version_that_an_agent_still_uses_stays_beside_the_new_one(tmp_path: Path) -> None:
    used, unused = (tmp_path / agent_tools.NAME / name / "bin" for name in ("0.0.1+used", "0.0.2+unused"))
    for directory in (used, unused):
        directory.mkdir(parents=True)
    agent = subprocess.Popen(["sleep", "60"], env={"PATH": f"{used}:{SYSTEM}"})

    try:
        agent_tools.renew(tmp_path)
        kept = {path.name for path in (tmp_path / agent_tools.NAME).iterdir()}
    finally:
        agent.kill()
        agent.wait()
    agent_tools.renew(tmp_path)

    assert kept == {used.parent.name, agent_tools.install(tmp_path).parent.name}
    assert not used.exists()


def test_a_place_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / agent_tools.NAME).write_text("a file")

    with pytest.raises(Unavailable, match="cannot be put into"):
        agent_tools.install(tmp_path)


def test_eggs_own_environment_is_on_nobodys_path(tmp_path: Path) -> None:
    own = Path(sys.prefix) / "bin"
    (tmp_path / "link").symlink_to(own)

    found = agent_tools.users_path(f"{own}:/a b:{tmp_path}/link:node_modules/.bin:{own}/:/usr/bin")

    assert found == "/a b:node_modules/.bin:/usr/bin"


def test_the_path_is_the_one_of_the_settings_file_else_the_shells(tmp_path: Path) -> None:
    given = {"PATH": "/shell:/usr/bin"}
    shell = agent_tools.agents_path(given, tmp_path)
    (tmp_path / "settings.toml").write_text('[agents]\npath = "~/bin:/tools"\n')

    assert shell == "/shell:/usr/bin"
    assert agent_tools.agents_path(given, tmp_path) == f"{Path.home()}/bin:/tools"
    assert agent_tools.agents_path({**given, "EGG_AGENTS_PATH": "/frozen"}, tmp_path) == "/frozen"
