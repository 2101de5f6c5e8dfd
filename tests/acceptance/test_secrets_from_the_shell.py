"""A key that an agent takes from the shell of `egg up`: it gets there, and is to be found nowhere else."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance

KEY = "hush-7f3a9c1e-not-for-others"
HOLDER = """
printf %s "$API_KEY" | sha256sum | cut -c1-64 > key.sha256
echo "the provider says: invalid key $API_KEY"
git add key.sha256 && git commit -qm "Prove that I have it"
egg signal readiness --state READY --reason "I have $API_KEY"
"""
NEIGHBOUR = """
found=unseen
cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -q hush-7f3a && found=seen
echo "$found" > found && git add found && git commit -qm "Look around"
egg signal readiness --state READY --reason "looked: $found"
"""
DEFINITION = """
version: 1
repo: .
prompt: Have a key.
agents:
  holder: {backend: command, command: [sh, holder.sh], environment: {API_KEY: {from: WORK_KEY}}}
  neighbour: {backend: command, command: [sh, neighbour.sh]}
phases:
  - name: have
    roles: [{role: holder}]
  - name: look
    roles: [{role: neighbour}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with an agent that needs a key and one that looks for it."""
    for name, text in {"holder.sh": HOLDER, "neighbour.sh": NEIGHBOUR, "egg.yaml": DEFINITION}.items():
        (tmp_path / name).write_text(text)
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "begin")):
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.timeout(400)
def test_a_key_reaches_its_agent_from_the_shell_and_is_nowhere_else(person: Egg, project: Path) -> None:
    person.run("up")
    asked = person.run("run", "--name", "keys", "--wait", cwd=project, check=False)
    (run,) = person.json("agent", "list", "keys")["agents"]
    person.run("down")
    person.environment["WORK_KEY"] = KEY
    person.run("up")
    del person.environment["WORK_KEY"]
    (decision,) = person.json("decision", "list", "keys")["decisions"]
    person.run("decision", "resolve", str(decision["id"]), "--resolution", "Retry (respawn agent)")

    done = person.run("watch", "keys", "--wait", cwd=project)

    assert asked.returncode == 3
    assert "WORK_KEY is not set in this shell" in asked.stderr
    assert (run["failure"], run["status"]) == ("missing_config", "failed")
    assert run["error"].startswith("WORK_KEY is not set in the environment of the worker that launches it")
    assert "keys: complete" in done.stdout
    proof = person.type("git show egg/keys:key.sha256", cwd=project).strip()
    assert proof == hashlib.sha256(KEY.encode()).hexdigest()
    assert person.type("git show egg/keys:found", cwd=project) == "unseen\n"
    reasons = [event["text"] for event in person.events("keys") if event["type"] == "readiness.changed"]
    assert "holder is READY at version 1: I have [API_KEY is hidden]" in reasons
    said = person.run("agent", "logs", "keys", "holder").stdout
    assert "the provider says: invalid key [API_KEY is hidden]" in said
    shown = person.run("pipeline", "get", "keys", "--json").stdout
    assert '"from": "WORK_KEY"' in shown
    kept = subprocess.run(
        ["grep", "-rlaF", KEY, str(person.home)], capture_output=True, text=True, check=False
    )
    assert kept.stdout == ""
