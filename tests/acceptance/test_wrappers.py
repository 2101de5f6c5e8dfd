"""The wrappers of the page on agent programs, with stand-ins for the programs that need a login."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT, Egg

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "howto" / "wrap-an-agent-program.md"
SCRIPTS = dict(zip(("any", "lint", "claude", "codex"), re.findall(
    r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
), strict=True))  # fmt: skip
REVIEWS = {"reviews": ["coder"], "needs": ["coder"]}
OF_ANY = """#!/bin/sh
cat > any-prompt
"""
OF_A_MODEL = """#!/bin/sh
# As claude and codex: says whether it is logged in; else works, commits and gives its verdict.
name=$(basename "$0")
case "$1 $2" in "auth status" | "login status") exec test -e "$HOME/login" ;; esac
echo "$@" > "$name-arguments" && cat > "$name-prompt"
git add --all && git commit --quiet --message "$name"
egg signal readiness --state READY --reason "$name is done"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository to work on; the wrappers and stand-ins lie beside it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    programs = {f"{name}-agent.sh": text for name, text in SCRIPTS.items()}
    for name, text in {**programs, "your-program": OF_ANY, "claude": OF_A_MODEL, "codex": OF_A_MODEL}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    own = tmp_path / "own"
    own.mkdir()
    (own / "Makefile").write_text("lint:\n\t@test -e any-prompt || { echo no prompt yet; false; }\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "begin")):
        subprocess.run(["git", *identity, *words], cwd=own, check=True)
    return own


def define(project: Path, **agents: str) -> None:
    """Write a definition in which these roles are played by these wrappers."""
    beside = project.parent
    environment = {"PATH": f"{beside}/bin:/usr/bin:/bin", "HOME": str(beside / "home")}
    command = {role: [f"{beside}/bin/{name}-agent.sh"] for role, name in agents.items()}
    definition = {
        "version": 1,
        "repo": ".",
        "prompt": "Add a token bucket.",
        "agents": {
            role: {"backend": "command", "command": words, "environment": environment}
            for role, words in command.items()
        },
        "phases": [
            {
                "name": "work",
                "roles": [{"role": role, **(REVIEWS if role == "linter" else {})} for role in agents],
            }
        ],
    }
    (project / "egg.yaml").write_text(json.dumps(definition))


def test_programs_in_their_wrappers_get_the_prompt_and_agree(egg: Egg, project: Path) -> None:
    (project.parent / "home" / "login").touch()
    define(project, coder="any", linter="lint", opus="claude", gpt="codex")

    done = egg.run("run", "--name", "wrapped", "--wait", cwd=project)

    assert "wrapped: complete" in done.stdout
    for name in ("any", "claude", "codex"):
        assert "> Add a token bucket." in egg.type(f"git show egg/wrapped:{name}-prompt", cwd=project)
    said = egg.type("git show egg/wrapped:claude-arguments egg/wrapped:codex-arguments", cwd=project)
    assert said.startswith("-p --dangerously-skip-permissions --setting-sources  --strict-mcp-config\nexec ")
    assert said.endswith(" -\n")


@pytest.mark.parametrize("program", ["claude", "codex"])
def test_a_program_without_a_login_is_asked_about_at_once(egg: Egg, project: Path, program: str) -> None:
    define(project, coder=program)

    done = egg.run("run", "--name", f"no-login-{program}", "--wait", cwd=project, check=False)

    assert done.returncode == 3
    (run,) = egg.json("agent", "list", f"no-login-{program}")["agents"]
    assert run["failure"] == "auth"
    assert f"{program} is not logged in: give it" in run["error"]
