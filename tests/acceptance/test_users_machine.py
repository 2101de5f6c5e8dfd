"""What agents and checks find is the user's: their interpreter and tools, with `egg` alone in front."""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import EGG, PATH, Egg

LOOK = """
echo "egg=$(command -v egg)"
echo "beside=$(ls "$(dirname "$(command -v egg)")" | paste -sd,)"
echo "python=$(command -v python3)"
echo "home=$HOME" "tmpdir=$TMPDIR" "virtual=${VIRTUAL_ENV:-}" "database=${EGG_DATABASE_URL:-}"
python3 -I -c 'import multiprocessing as m; print("manager", dict(m.Manager().dict(answer=42)))'
echo "bash -l egg=$(bash -lc 'command -v egg')"
"""
AGENT = LOOK + "egg signal readiness --state READY --reason looked\n"
DEFINITION = """
version: 1
repo: .
prompt: Look around.
agents:
  coder: {backend: command, command: [bash, agent.sh], environment: {PYTHONPATH: .}}
phases:
  - name: look
    roles: [{role: coder}]
    check: {run: bash look.sh}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A person's repository whose packages are called like ours."""
    for name in ("cli", "models", "click"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the project, not egg')\n")
    for name, text in {"agent.sh": AGENT, "look.sh": LOOK, "egg.yaml": DEFINITION}.items():
        (tmp_path / name).write_text(text)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "begin")):
        identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True)
    return tmp_path


def found(egg: Egg, run: str) -> dict[str, str]:
    """What a run has printed, by name."""
    lines = egg.run("agent", "logs", "look", run).stdout.splitlines()
    return dict(word.split("=", 1) for line in lines for word in line.split(" ") if "=" in word) | {
        "manager": next(line for line in lines if line.startswith("manager"))
    }


def test_agents_and_checks_find_the_users_tools_and_nothing_of_eggs_own(egg: Egg, project: Path) -> None:
    egg.environment["PYTHONPATH"] = "."
    try:
        egg.run("run", "egg.yaml", "--name", "look", "--wait", cwd=project)
    finally:
        del egg.environment["PYTHONPATH"]

    agent, check = found(egg, "coder"), found(egg, "check")

    own = str(Path(sys.executable).parent)
    users = [entry for entry in PATH.split(":") if Path(entry).resolve() != Path(own).resolve()]
    for looked in (agent, check):
        assert looked["egg"].startswith(f"{egg.home}/agent-tools/")
        assert looked["beside"] == "egg,egg-orch"
        assert looked["python"] == shutil.which("python3", path=":".join(users))
        assert looked["manager"] == "manager {'answer': 42}"
        assert (looked["virtual"], looked["database"]) == ("", "")
    assert agent["home"] == f"{egg.home}/roles/look/coder/home"
    assert check["home"] != agent["home"]
    assert not Path(agent["tmpdir"]).exists()


@pytest.mark.parametrize("words", [("api", "--port", "1"), ("reconcile",), ("worker", "control")])
def test_a_process_typed_in_a_project_is_eggs_own(project: Path, words: tuple[str, ...]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ".",
        "EGG_HOME": "elsewhere",
        "EGG_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "EGG_REDIS_URL": "redis://127.0.0.1:1/0",
    }
    running = subprocess.Popen(
        [EGG, *words],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    select.select([running.stdout], [], [], 60)
    time.sleep(1)
    running.terminate()
    try:
        said, _ = running.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        running.kill()
        said, _ = running.communicate()

    assert said
    assert "the project, not egg" not in said
